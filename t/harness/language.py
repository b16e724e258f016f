"""The languages of the contract suite, each with the same tiny apps.

echo    responds with the request, nil for nil
fail    fails, with the request as the reason
gate    waits at the gate under the name that is its request, and responds
        with what the test answers there
big     responds with as many bytes as the request says, each offset & 0xff
children
        runs its request in a shell and responds with the exit status it saw
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    name: str
    load: str
    """A Lua expression that loads the app named by the Lua variable app, with
    the options opts."""
    cycles: int = 1000
    """How often a test loads it to see that nothing is left: as often as takes
    seconds."""
    may_grow_kib: int = 4096
    """Of memory, meanwhile."""
    may_grow_threads: int = 0
    """The same of threads."""
    warm_up: int = 100
    """Loads and unloads until the memory of a worker does not grow any more."""

    def __str__(self) -> str:
        return self.name

    @property
    def prelude(self) -> str:
        """Lua that defines load_app(app, opts), which raises when it fails."""
        return f"local function load_app(app, opts) return assert({self.load}) end "


_JAVA_CLASS = '(("_" .. app):gsub("_(%l)", string.upper))'
"""slow_start is SlowStart."""

LANGUAGES = [
    Language("c", "ngx.load_ffi(app, nil, opts)"),
    Language("python", 'ngx.load_ffi("ffi_python3", app .. ",init,", opts)'),
    # Go keeps the threads that it once needed, more on a busy machine.
    Language("go", 'ngx.load_ffi("go_apps", app, opts)', may_grow_threads=4),
    Language("rust", 'ngx.load_ffi("rust_apps", app, opts)'),
    # V8's threads free memory when they come to it.
    Language(
        "nodejs",
        'ngx.load_ffi("ffi_nodejs", app .. ",init,", opts)',
        cycles=200,
        may_grow_kib=12288,
    ),
    Language("java", f'ngx.load_ffi("ffi_java", {_JAVA_CLASS} .. ",init,", opts)', warm_up=1000),
]
