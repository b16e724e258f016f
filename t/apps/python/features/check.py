"""The entry function of each module of checks."""

from resty_ffi import serve


def entry(names):
    def handle(request):
        names[request.decode()]()
        return "well"

    return serve(handle)
