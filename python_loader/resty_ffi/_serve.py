"""serve(): a handler as an entry function."""

from __future__ import annotations

from typing import Callable, Optional, Union

Request = Optional[bytes]
"""None for a nil request."""

Response = Union[bytes, bytearray, memoryview, str, None]
"""Text is sent as UTF-8, None as nil."""

Handler = Callable[[Request], Response]

Entry = Callable[[int, int], Optional[int]]
"""Called once per runtime with two addresses as numbers: of the configuration
(a C string; 0 when there is none) and of the task queue. Returns 0 or None;
anything else, and an exception, is a failed load."""


def serve(handler: Handler) -> Entry:
    """An entry function that has handler answer the runtime's calls.

    handler is called on one thread, one call at a time: the thread that also
    imported its module. What it raises becomes the error of that call.
    """
    if not callable(handler):
        raise TypeError(f"handler must be callable, not {type(handler).__name__}")

    def entry(cfg: int, tq: int) -> int:
        try:
            from resty_ffi import _runtime
        except ModuleNotFoundError:
            raise RuntimeError("what serve() returns is called by nginx only") from None

        _runtime.find(tq).serve(handler)
        return 0

    return entry
