"""What the modules of checks have in common."""

from resty_ffi import serve


def entry(names):
    """Calls the function that the request names."""

    def handle(request):
        names[request.decode()]()
        return "well"

    return serve(handle)


def raised(kind, function, *args):
    """The exception of that kind that the call raises."""
    try:
        function(*args)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")
