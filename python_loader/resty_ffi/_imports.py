"""Imports, in private modules and on their behalf.

Whose modules a name means is lexical: a private module's globals carry its
Modules, so that it imports its own at any time and in any thread. For the code
of a shared module it is the nearest caller with private globals, else the
runtime that the thread belongs to.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import sys
import threading
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Mapping, Sequence

from resty_ffi._modules import MARK, Finder, Modules, owner, private_names

_import = builtins.__import__
_import_module = importlib.import_module
_find_spec = importlib.util.find_spec
_start = threading.Thread.start


def install() -> None:
    """Makes imports private where runtimes are concerned. Once per process."""
    sys.meta_path.insert(0, Finder)
    builtins.__import__ = _private_import
    importlib.import_module = _private_import_module
    importlib.util.find_spec = _private_find_spec
    threading.Thread.start = _inheriting_start  # type: ignore[method-assign]


def current() -> Modules | None:
    """The modules of the runtime whose code runs."""
    frame = sys._getframe(1)
    while frame is not None:
        modules = frame.f_globals.get(MARK)
        if modules is not None:
            return modules  # type: ignore[no-any-return]
        frame = frame.f_back  # type: ignore[assignment]
    return getattr(threading.current_thread(), MARK, None)


def adopt(thread: threading.Thread, modules: Modules | None) -> None:
    """Makes a thread, and those that it starts, the runtime's."""
    setattr(thread, MARK, modules)


def _private_import(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    # A relative import is private already: its package is named so.
    if level == 0:
        name = _translate(name, globals)
    try:
        return _import(name, globals, locals, fromlist, level)
    except ImportError as error:
        _clean(error)
        raise


def _private_import_module(name: str, package: str | None = None) -> ModuleType:
    try:
        return _import_module(*_translate_call(name, package))
    except ImportError as error:
        _clean(error)
        raise


def _private_find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
    try:
        return _find_spec(*_translate_call(name, package))
    except ImportError as error:
        _clean(error)
        raise


def _inheriting_start(self: threading.Thread) -> None:
    if not hasattr(self, MARK):
        adopt(self, current())
    _start(self)


def _translate(name: str, globals: Mapping[str, Any] | None = None) -> str:
    modules: Modules | None = globals.get(MARK) if globals else None
    if modules is None:
        # Shared code that imports what is shared: nearly always.
        top = name.partition(".")[0]
        if top in sys.modules and top not in private_names:
            return name
        modules = current()
        return name if modules is None else modules.translate_for_shared(name)
    return modules.translate(name)


def _translate_call(name: str, package: str | None) -> tuple[str, str | None]:
    if not name.startswith("."):
        return _translate(name), package
    return name, package and _translate(package)


def _clean(error: ImportError) -> None:
    """Programs compare the name with that of the module they asked for."""
    modules = owner(error.name or "")
    if modules is not None:
        error.name = modules.clean(error.name or "")
        error.msg = modules.clean(error.msg)
