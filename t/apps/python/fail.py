"""Fails, with the request as the reason."""

from resty_ffi import serve


def fail(request):
    raise ValueError(request.decode())


init = serve(fail)
