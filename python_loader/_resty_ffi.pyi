"""nginx's side: built into the interpreter that nginx embeds (src/bridge.c).

A queue (tq) is the number that the entry function gets.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Awaitable, Callable, Final, Generator, Mapping

CRIT: Final[int]
ERR: Final[int]
WARN: Final[int]
NOTICE: Final[int]
INFO: Final[int]
DEBUG: Final[int]

class Task:
    """A call that waits for its answer.

    Any thread. After the answer, what is said of the call raises RuntimeError.
    """

    @property
    def handle(self) -> int:
        """As poll_abandoned() names it; 0 after the answer."""
    @property
    def request(self) -> bytes | None:
        """Copied anew each time."""
    @property
    def method(self) -> str: ...
    @property
    def request_id(self) -> str | None: ...
    @property
    def traceparent(self) -> str | None: ...
    @property
    def deadline(self) -> float: ...
    def time_left(self) -> float: ...
    def is_abandoned(self) -> bool: ...
    def respond(self, response: Any, /) -> None:
        """Answers the call. What is wrong with the response is raised, and the
        call still unanswered then."""
    def fail(self, rc: int, message: Any, /) -> None:
        """Answers with an error; as respond()."""
    def log(self, level: int, text: bytes, /) -> None:
        """As log() of the module, with the call's runtime and request id."""

def log(tq: int, level: int, text: bytes, /) -> None:
    """Writes text to error.log, a line for each line of it.

    Any thread; never blocks. A queue of 0, or one that is gone, has no name.
    """

def serve(
    tq: int,
    function: Callable[[bytes | None], Any] | None,
    methods: Mapping[str, Callable[[bytes | None], Any]],
    error_answer: Callable[[BaseException], tuple[int, Any]],
    /,
) -> None:
    """Answers each call of the runtime, until it is unloaded, with what the
    function returns, or else the method of that name.

    Releases the GIL only while nothing is to do. What they raise goes to
    error_answer, which makes the rc and the message that Lua gets of it.
    """

def current_task() -> Task | None:
    """The call that serve() is answering on this thread."""

def thread_of(handle: int, /) -> int:
    """The thread that is running a call's code, or 0: none is now."""

class Calls(Awaitable[int]):
    """What calls() returns."""

    def __await__(self) -> Generator[Any, None, int]: ...
    @property
    def coroutine(self) -> Any:
        """Of the call that waits for something, or None."""

def calls(
    tq: int,
    limit: int,
    function: Callable[[bytes | None], Any] | None,
    methods: Mapping[str, Callable[[bytes | None], Any]],
    error_answer: Callable[[BaseException], tuple[int, Any]],
    variable: ContextVar[Any],
    keep: Callable[[int], None],
    current_task: Callable[[], Any],
    /,
) -> Calls:
    """Awaited, answers calls that wait with the coroutines of function or
    methods, as serve() does, each in a context of its own, where variable is
    its Task.

    Ends with 1 after as many as limit, and after one that cancelled the asyncio
    task, which current_task tells, without waiting for anything; with 0 when no
    call waits any more, which arms the event descriptor; with -1 at the end of
    the queue. The first call that has to wait for something is the last: keep is
    called with its handle.
    """

def poll_abandoned(tq: int, /) -> list[int]:
    """Handles of tasks whose callers have gone, each once and 64 at most."""

def is_reload(tq: int, /) -> bool:
    """Whether the runtime is to replace one that runs, with fresh code."""

def event_fd(tq: int, /) -> int:
    """Readable when there is something to poll; the queue's, not to be closed.

    Raises OSError.
    """

def string_at(address: int, /) -> bytes:
    """The bytes of the C string at the address."""
