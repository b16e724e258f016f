"""Responds with as many bytes as the request says, each its offset & 0xff."""

from resty_ffi import serve

PATTERN = bytes(range(256))


def grow(request):
    size = int(request)
    return (PATTERN * (size // 256 + 1))[:size]


init = serve(grow)
