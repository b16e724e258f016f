"""Waiting for facts instead of for time."""

from __future__ import annotations

import time
from typing import Callable, TypeVar

Fact = TypeVar("Fact")

DEADLINE = 60.0
"""Seconds. Generous: only a failing test ever waits this long."""

_INTERVAL = 0.005


def wait_for(fact: Callable[[], Fact], deadline: float = DEADLINE) -> Fact:
    """Call fact until what it returns is true, and return that.

    Raises TimeoutError after deadline seconds, with the last value.
    """
    end = time.monotonic() + deadline
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"not true within {deadline} s, but {value!r}: {fact.__name__}")
        time.sleep(_INTERVAL)
