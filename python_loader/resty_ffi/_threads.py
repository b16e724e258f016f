"""The threads of runtimes: whether any is left when Python is to end.

Linux: a thread has the name of the one that started it, unless it says
otherwise, and nginx gives the thread that loads a runtime a name of its own.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

_TASKS = Path("/proc/self/task")

_LOADERS = "ffi-"
"""What the names begin with that nginx gives."""

_PATIENCE = 2.0
"""Seconds for threads that are about to end."""

_left: set[str] = set()
"""The names of threads that outlived their runtimes."""


class Watch:
    """What threads a runtime starts. Made on the thread that loads it."""

    def __init__(self) -> None:
        self._before = set(_names())
        self._name = _name(str(threading.get_native_id()))

    def end(self) -> None:
        """Notes those that are there still."""
        names = _names()
        _left.intersection_update(names.values())
        for tid, name in names.items():
            if name == self._name or (tid not in self._before and not _is_nginx(name)):
                _left.add(name)


def busy() -> str | None:
    """Which thread keeps Python from ending, or None; waits for it a moment."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        reason = _python() or _native()
        if reason is None or time.monotonic() >= deadline:
            return reason
        time.sleep(0.005)


def _python() -> str | None:
    ours = (threading.get_ident(), threading.main_thread().ident)
    for ident in sys._current_frames():
        if ident not in ours:
            thread = threading._active.get(ident)  # type: ignore[attr-defined]
            return f"the thread {thread.name!r} runs" if thread else "a thread runs Python code"
    return None


def _native() -> str | None:
    name = next(iter(_left.intersection(_names().values())), None)
    return f"a thread of an extension module runs ({name})" if name else None


def _is_nginx(name: str) -> bool:
    return name.startswith(_LOADERS) or name == _name(str(_TASKS.parent.resolve().name))


def _names() -> dict[str, str]:
    names = {task.name: _name(task.name) for task in _TASKS.iterdir()}
    return {tid: name for tid, name in names.items() if name}


def _name(tid: str) -> str:
    """Empty when the thread has ended."""
    try:
        return (_TASKS / tid / "comm").read_text(errors="replace").rstrip("\n")
    except OSError:
        return ""
