"""serve(): a handler as an entry function."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from resty_ffi import _handler

Request = Optional[bytes]
"""None for a nil request."""

Response = Union[bytes, bytearray, memoryview, str, None]
"""Text is sent as UTF-8, None as nil."""

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


@dataclass(frozen=True, eq=False)
class Entry:
    """An entry function: what nginx calls once per runtime."""

    handler: Any
    threads: int = 1
    concurrency: int | None = None
    loop_factory: LoopFactory | None = None
    cfg: Callable[[str], Any] = str

    def __call__(self, cfg: int, tq: int) -> int:
        """Starts to serve. Two addresses as numbers: of the configuration (a C
        string; 0 when there is none) and of the task queue. Returns 0.

        Raises what the handler's factory raises: the load fails with that.
        """
        try:
            from resty_ffi import _runtime
        except ModuleNotFoundError:
            raise RuntimeError(
                "only nginx calls what serve() returns: see resty_ffi.testing"
            ) from None

        _runtime.find(tq).serve(self, cfg)
        return 0

    def make(self, text: str) -> Any:
        """The handler for that configuration. It may have to be awaited."""
        return _handler.make(self.handler, lambda: self.cfg(text))


def serve(
    handler: Any,
    *,
    threads: int = 1,
    concurrency: int | None = None,
    loop_factory: LoopFactory | None = None,
    cfg: Callable[[str], Any] = str,
) -> Entry:
    """An entry function that has the handler answer a runtime's calls.

    handler is one of:

    - a function(request), or an async function(request);
    - an object: rt:get(request) in Lua calls its method get(request). Methods
      may be async, and are then all run by an event loop. A plain rt(request)
      calls the object. close() or aclose() ends it;
    - a class or a function whose first parameter is named cfg, which may be
      async: called once per runtime with its configuration, returns one of the
      above. A class that takes no argument is called without.

    threads: how many threads call a handler that is not async.
    concurrency: how many calls an async handler serves at once; None: all.
    loop_factory: makes the event loop, uvloop.new_event_loop for instance.
    cfg: what the configuration's text goes through first: json.loads, or the
    validation of a model. The text is empty when there is none.

    The handler is made, called and ended on the thread that imported its
    module, but for the other threads and those that async code starts. What it
    raises becomes the error of the call. Raises TypeError and ValueError.
    """
    if not callable(handler):
        _handler.Dispatcher(handler)
    _check("threads", threads)
    if concurrency is not None:
        _check("concurrency", concurrency)
    return Entry(handler, threads, concurrency, loop_factory, cfg)


def _check(name: str, number: int) -> None:
    if not isinstance(number, int):
        raise TypeError(f"{name} must be a number, not {type(number).__name__}")
    if number < 1:
        raise ValueError(f"{name} must be 1 or more, not {number}")
