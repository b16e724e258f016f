"""Where the code of a call is: its stack, as text for error.log. Any thread."""

from __future__ import annotations

import itertools
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Any, Iterable, Iterator, Tuple

import _resty_ffi

from resty_ffi._report import is_users

Place = Tuple[FrameType, int]

_DEPTH = 64
"""Frames that are shown, from the innermost on."""

_SERVERS = [str(Path(__file__).with_name(name)) for name in ("_aio.py", "_server.py")]

_PARTS = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))
"""Of coroutines, generators and async generators."""


def of_running(handle: int) -> str:
    """Of a call that a thread is running; empty when none is."""
    thread = _resty_ffi.thread_of(handle)
    frame = sys._current_frames().get(thread)
    if frame is None:
        return ""
    places = [*itertools.islice(traceback.walk_stack(frame), _DEPTH)]
    text = _format(reversed(places))
    # Other threads go on meanwhile: it may be another call's by now.
    return text if _resty_ffi.thread_of(handle) == thread else ""


def of_waiting(coroutine: Any) -> str:
    """Of a coroutine that waits; empty when it does not."""
    return _format(itertools.islice(_awaited(coroutine), _DEPTH))


def _awaited(coroutine: Any) -> Iterator[Place]:
    while True:
        parts = next((parts for parts in _PARTS if hasattr(coroutine, parts[0])), None)
        if parts is None:
            return
        frame, coroutine = (getattr(coroutine, name) for name in parts)
        if frame is not None:
            yield frame, frame.f_lineno


def _format(places: Iterable[Place]) -> str:
    """The user's frames, outermost first."""
    frames = [*traceback.StackSummary.extract(iter(places))]
    for index, frame in reversed([*enumerate(frames)]):
        if frame.filename in _SERVERS:
            del frames[: index + 1]
            break
    users = [frame for frame in frames if is_users(frame.filename)]
    return "".join(traceback.StackSummary.from_list(users).format()).rstrip("\n")
