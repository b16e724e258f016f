"""Ports of the loopback interface, each for one server at a time."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

# Below the kernel's ephemeral range, so that no outgoing connection of a
# client can take a port between our look and nginx's bind().
_FIRST, _LAST = 20000, 32000


class Port:
    """A free port, reserved until release() across all processes that test."""

    def __init__(self) -> None:
        self.number, self._lock = _reserve()

    def release(self) -> None:
        os.close(self._lock)


def _reserve() -> tuple[int, int]:
    folder = Path(tempfile.gettempdir()) / f"resty-ffi-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in random.sample(range(_FIRST, _LAST), 1000):
        lock = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _locked(lock) and _is_free(number):
            return number, lock
        os.close(lock)
    raise RuntimeError(f"no free port between {_FIRST} and {_LAST}")


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free(number: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return False
    return True
