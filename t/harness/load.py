"""Clients that ask a server again and again."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Iterator

from .server import Server

_CLIENTS = 8


@dataclass
class Load:
    """What the clients saw, complete when the load has ended."""

    answers: list[Any] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)


@contextmanager
def load(server: Server, path: str = "/") -> Iterator[Load]:
    """Each client asks for the path, one connection after the other, until the
    block ends."""
    stop = Event()
    seen = Load()

    def client() -> None:
        while not stop.is_set():
            try:
                seen.answers.append(server.values(path))
            except Exception as error:
                seen.errors.append(error)

    with ThreadPoolExecutor(_CLIENTS) as clients:
        running: list[Future[None]] = [clients.submit(client) for _ in range(_CLIENTS)]
        try:
            yield seen
        finally:
            stop.set()
        for one in running:
            one.result()
