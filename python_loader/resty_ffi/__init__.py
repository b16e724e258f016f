"""Python for nginx: handlers that Lua calls.

    from resty_ffi import serve

    def greet(request):
        return b"Hello, " + (request or b"nobody")

    init = serve(greet)

Lua loads this with ngx.load_ffi("ffi_python3", "<module>,init"). The package
may be imported anywhere; only nginx can call what serve() returns, and
resty_ffi.testing.
"""

from resty_ffi._error import Error
from resty_ffi._serve import Entry, LoopFactory, Request, Response, serve
from resty_ffi._task import Task, current_task

__all__ = [
    "Entry",
    "Error",
    "LoopFactory",
    "Request",
    "Response",
    "Task",
    "current_task",
    "serve",
]
