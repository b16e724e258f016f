"""The code of private modules, kept for later runtimes that do not ask for it anew."""

from __future__ import annotations

import linecache
import marshal
from importlib.machinery import SourceFileLoader
from types import CodeType

# Marshalled, so that runtimes share no code objects: the interpreter
# specialises these for the globals that they run with.
_cache: dict[str, bytes] = {}


def get(loader: SourceFileLoader, fresh: bool) -> CodeType:
    """The code of the loader's file: cached, unless fresh or never read.

    Always compiled from source: a .pyc is stale when an edit keeps the file's
    size within a second. Raises what reading and compiling raises.
    """
    path = loader.path
    data = None if fresh else _cache.get(path)
    if data is not None:
        return marshal.loads(data)  # type: ignore[no-any-return]

    code: CodeType = loader.source_to_code(loader.get_data(path), path)
    _cache[path] = marshal.dumps(code)
    # Tracebacks would show lines of the earlier file.
    linecache.cache.pop(path, None)
    return code
