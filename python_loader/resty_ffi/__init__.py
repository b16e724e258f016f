"""Python for nginx: handlers that Lua calls.

    from resty_ffi import serve

    def greet(request):
        return b"Hello, " + (request or b"nobody")

    init = serve(greet)

Lua loads this with ngx.load_ffi("ffi_python3", "<module>,init"). The package
may be imported anywhere; only nginx can call what serve() returns.
"""

from resty_ffi._serve import Entry, Handler, Request, Response, serve

__all__ = ["Entry", "Handler", "Request", "Response", "serve"]
