"""Waits at the gate and responds with what the test answers there."""

import socket

from resty_ffi import serve


def hold(request):
    with socket.socket(socket.AF_UNIX) as gate:
        gate.connect("gate")
        gate.sendall(request + b"\n")
        with gate.makefile("rb") as answer:
            return answer.read()


init = serve(hold)
