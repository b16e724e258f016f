"""Exceptions that end a call or a load: the traceback for error.log, a line for Lua."""

from __future__ import annotations

import traceback
from pathlib import Path

import _resty_ffi

from resty_ffi import _output
from resty_ffi._error import Error, Message, describe
from resty_ffi._imports import current

# Between the user's frames are those of imports.
_IMPORTS = ("<frozen importlib", "/importlib/__init__.py")

_FAILED = 1
"""The rc of a call whose handler raised something else than Error."""

_OURS = f"{Path(__file__).parent}/"


def answer(error: BaseException) -> tuple[int, Message]:
    """The rc and the message that a call is answered with."""
    if isinstance(error, Error):
        return error.rc, error.message
    return _FAILED, report(error)


def report(error: BaseException) -> bytes:
    """Logs the traceback and returns "Type: message" in UTF-8."""
    modules = current()
    formatted = traceback.TracebackException.from_exception(error)
    _remove_frames(formatted, set())
    _output.write(_resty_ffi.ERR, "".join(formatted.format()).rstrip("\n"), modules)

    message = describe(error)
    if modules is not None:
        message = modules.clean(message)
    return message.encode("utf-8", "backslashreplace")


def _remove_frames(formatted: traceback.TracebackException | None, seen: set[int]) -> None:
    """Takes out what is not the user's, here and in the exceptions before."""
    if formatted is None or id(formatted) in seen:
        return
    seen.add(id(formatted))

    frames = [frame for frame in formatted.stack if is_users(frame.filename)]
    formatted.stack = traceback.StackSummary.from_list(frames)

    _remove_frames(formatted.__cause__, seen)
    _remove_frames(formatted.__context__, seen)
    for member in getattr(formatted, "exceptions", None) or ():
        _remove_frames(member, seen)


def is_users(filename: str) -> bool:
    """Whether the code of a frame is neither ours nor of the import system."""
    return not filename.startswith((_OURS, _IMPORTS[0])) and not filename.endswith(_IMPORTS[1])
