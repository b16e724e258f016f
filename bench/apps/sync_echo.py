"""The echo as a handler."""

import resty_ffi


def echo(request):
    return request


init = resty_ffi.serve(echo)
