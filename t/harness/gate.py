"""Gates: where handlers wait until the test lets them go.

A handler, in any language, connects to the unix socket "gate" in its working
folder, sends a line that says who it is, reads to the end what the test
answers, and goes on. Before it closes the connection it may say something
more. So the test knows that a handler is held, and when it has finished,
without any sleep.
"""

from __future__ import annotations

import select
import socket
from pathlib import Path

from .wait import DEADLINE


class Held:
    """One handler that waits at the gate."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(DEADLINE)
        self._connection = connection
        self._stream = connection.makefile("rb")
        self.name = self._stream.readline().rstrip(b"\n").decode()

    def open(self, answer: str = "") -> None:
        """Let the handler go on, with an answer for it."""
        self._connection.sendall(answer.encode())
        self._connection.shutdown(socket.SHUT_WR)

    def last_words(self) -> str:
        """What the handler said after it was let go; waits until it closed."""
        return self._stream.read().decode()

    def close(self) -> None:
        self._stream.close()
        self._connection.close()


class Gate:
    """The gate of one server. Closing it lets everybody go."""

    def __init__(self, folder: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(folder / "gate"))
        self._socket.listen(512)
        self._held: list[Held] = []

    def wait(self, deadline: float = DEADLINE) -> Held:
        """The next handler that comes to the gate, waiting for it."""
        self._socket.settimeout(deadline)
        held = Held(self._socket.accept()[0])
        self._held.append(held)
        return held

    def has_visitor(self) -> bool:
        """Whether a handler is at the gate that wait() has not returned."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def wait_for(self, count: int) -> list[Held]:
        return [self.wait() for _ in range(count)]

    def close(self) -> None:
        self._socket.close()
        for held in self._held:
            held.close()
