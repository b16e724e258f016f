"""nginx's side: built into the interpreter that nginx embeds (src/bridge.c).

A queue (tq) is the number that the entry function gets.
"""

from __future__ import annotations

from typing import Any, Callable, Final

CRIT: Final[int]
ERR: Final[int]
WARN: Final[int]
NOTICE: Final[int]
INFO: Final[int]
DEBUG: Final[int]

def log(tq: int, level: int, text: bytes, /) -> None:
    """Writes text to error.log, a line for each line of it.

    Any thread; never blocks. A queue of 0, or one that is gone, has no name.
    """

def serve(
    tq: int,
    handler: Callable[[bytes | None], Any],
    report: Callable[[BaseException], bytes],
    /,
) -> None:
    """Calls handler for each call of the runtime until it is unloaded.

    Releases the GIL only while nothing is to do. What handler raises goes to
    report, and what that returns is the error that Lua gets.
    """
