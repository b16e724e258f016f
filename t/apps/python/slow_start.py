"""Starts when the test lets it; an answer at the gate is why it fails."""

import socket

from resty_ffi import serve

with socket.socket(socket.AF_UNIX) as gate:
    gate.connect("gate")
    gate.sendall(b"slow_start\n")
    with gate.makefile() as answer:
        why = answer.read()
        if why:
            raise RuntimeError(why)


def ready(request):
    return "ready"


init = serve(ready)
