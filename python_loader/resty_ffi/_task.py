"""current_task(): what a handler can know of the call that it serves."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Callable, Protocol


class Task(Protocol):
    """A call in flight. After its answer, what is said of the call raises
    RuntimeError. Any thread."""

    @property
    def method(self) -> str:
        """The name of the Lua method; "" for a plain call, rt(request)."""

    @property
    def request_id(self) -> str | None:
        """nginx's id of the request, see lua_ffi_request_id."""

    @property
    def traceparent(self) -> str | None:
        """The request's header of that name, of W3C's Trace Context, if it is valid."""

    @property
    def deadline(self) -> float:
        """When the caller gives up, on the clock of time.monotonic()."""

    def time_left(self) -> float:
        """Seconds until then; 0.0 when the time is up or the call answered."""

    def is_abandoned(self) -> bool:
        """Whether nobody waits for the answer any more: the caller's time was
        up, its client is gone or its coroutine was killed."""


in_context: ContextVar[Task | None] = ContextVar("resty_ffi.task", default=None)
"""Of asyncio tasks, and of what inherits their context."""

on_thread: Callable[[], Task | None] | None = None
"""Says which call this thread serves; None outside of nginx."""


def find() -> Task | None:
    """The call that the code which runs belongs to."""
    task = in_context.get()
    return on_thread() if task is None and on_thread is not None else task


def current_task() -> Task:
    """The call that is being served.

    In a handler, in the coroutines that it awaits, and in functions that these
    run with asyncio.to_thread(). RuntimeError elsewhere.
    """
    task = find()
    if task is None:
        raise RuntimeError("no call is being served here")
    return task
