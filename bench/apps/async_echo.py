"""The echo as an async handler."""

import resty_ffi


async def echo(request):
    return request


init = resty_ffi.serve(echo)
