"""Servers: what answers the calls of one runtime, from its load to its end.

A server is used on the runtime's thread, where it may start others.
"""

from __future__ import annotations

import threading
from typing import Any, Protocol

import _resty_ffi

from resty_ffi import _handler
from resty_ffi._handler import Dispatcher
from resty_ffi._report import answer, report
from resty_ffi._serve import Entry


class Server(Protocol):
    def run(self) -> None:
        """Answers calls until the end of the queue."""

    def close(self) -> None:
        """Ends the handler. What goes wrong is logged."""

    def find_waiting(self, handle: int) -> Any:
        """The coroutine of a call that waits for something, or None. Any
        thread."""


def start(entry: Entry, text: str, tq: int) -> Server:
    """A server for the queue, with a handler for the configuration. Raises
    what making that raises."""
    if _handler.is_async(entry.handler):
        return _loop_server(entry, text, tq)

    # A factory that is not async may still make a handler that is.
    handler = entry.make(text)
    if _handler.is_async(handler):
        return _loop_server(entry, text, tq, handler)
    if entry.concurrency is not None or entry.loop_factory is not None:
        raise ValueError("concurrency and loop_factory are for async handlers")
    return _ThreadServer(Dispatcher(handler), entry.threads, tq)


def _loop_server(entry: Entry, text: str, tq: int, *made: object) -> Server:
    if entry.threads != 1:
        raise ValueError("threads are for handlers that are not async: see concurrency")
    # Not everybody needs asyncio, which is slow to import.
    from resty_ffi._aio import LoopServer

    return LoopServer(entry, text, tq, *made)


class _ThreadServer:
    """Calls a handler on a number of threads."""

    def __init__(self, dispatcher: Dispatcher, threads: int, tq: int) -> None:
        self._dispatcher = dispatcher
        self._threads = threads
        self._tq = tq

    def run(self) -> None:
        others = [self._start(number) for number in range(2, self._threads + 1)]
        self._serve()
        for thread in filter(None, others):
            thread.join()

    def close(self) -> None:
        try:
            self._dispatcher.close()
        except BaseException as error:
            report(error)

    def find_waiting(self, handle: int) -> Any:
        return None

    def _start(self, number: int) -> threading.Thread | None:
        name = f"{threading.current_thread().name} #{number}"
        thread = threading.Thread(target=self._serve, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # Fewer will do.
            report(error)
            return None
        return thread

    def _serve(self) -> None:
        _resty_ffi.serve(self._tq, self._dispatcher.function, self._dispatcher.methods, answer)
