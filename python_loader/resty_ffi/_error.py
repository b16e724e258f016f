"""The error that a handler answers with."""

from __future__ import annotations

from typing import Union

_RC_MAX = 2**31 - 1

Message = Union[str, bytes, None]


class Error(Exception):
    """Raised by a handler: the caller gets false, rc, message.

    An answer like any other: nothing is logged. rc is a number other than 0,
    of 32 bits; ValueError when it is not.
    """

    # As users import it.
    __module__ = "resty_ffi"

    def __init__(self, rc: int, message: Message = None) -> None:
        super().__init__(rc, message)
        if not isinstance(rc, int) or rc == 0 or not -_RC_MAX <= rc <= _RC_MAX:
            raise ValueError(f"rc must be a number other than 0 and of 32 bits, not {rc!r}")
        if not isinstance(message, (str, bytes, type(None))):
            raise TypeError(f"message must be str, bytes or None, not {type(message).__name__}")
        self.rc = rc
        self.message = message

    def __str__(self) -> str:
        message = self.message
        if isinstance(message, bytes):
            message = message.decode("utf-8", "backslashreplace")
        return f"{self.rc}: {message}"


def describe(error: BaseException) -> str:
    """What the caller of a failed call is told: "Type: message"."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    try:
        text = str(error)
    except Exception:
        text = "<its str() failed>"
    return f"{name}: {text}" if text else name
