"""Responds with the request."""

from resty_ffi import serve


def echo(request):
    return request


init = serve(echo)
