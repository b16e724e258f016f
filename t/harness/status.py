"""What lua_ffi_status says of a server, from its JSON."""

from __future__ import annotations

from typing import Any

from .server import Server

LOCATION = "location = /status { lua_ffi_status; }"


def status(nginx: Server) -> Any:
    return nginx.get("/status?format=json").json()


def runtime(nginx: Server, library: str, **more: str) -> Any:
    """The only runtime of the library, and of what else is given; None when there
    is none."""
    wanted = {"library": library, **more}
    found = [one for one in status(nginx)["runtimes"] if wanted.items() <= one.items()]
    assert len(found) <= 1
    return found[0] if found else None


def worker(nginx: Server, library: str, **more: str) -> Any:
    """What its only worker says of it."""
    (only,) = runtime(nginx, library, **more)["workers"]
    return only
