"""The check-up of a server after every test."""

from __future__ import annotations

import re
from typing import Iterator

from .log import MOST
from .process import Usage
from .server import Server
from .wait import wait_for

_SICK = re.compile(
    r"\[alert\]|\[emerg\]|exited on signal|worker process \d+ exited with code [1-9]"
    r"|(Address|Thread|Leak|Memory|UndefinedBehavior)Sanitizer"
)

_HARMLESS = re.compile(
    "lua_code_cache is off; this will hurt performance"
    "|WARNING: AddressSanitizer failed to allocate"  # as malloc() may
)

MAY_GROW_THREADS = 48
"""Threads that the runtimes of one test may hold in a worker until it ends: a
JVM has some twenty."""

MAY_GROW_FILES = 64
"""An event loop of Node.js holds six, and its threads have one each."""


class Unhealthy(Exception):
    """One line for each complaint."""


def check_up(server: Server) -> None:
    """Stops the server, if the test did not, and looks for lasting damage.

    Raises Unhealthy.
    """
    complaints = [*_growth(server), *_stop(server), *_left_behind(server), *_log(server)]
    if complaints:
        raise Unhealthy("\n".join(complaints))


def _growth(server: Server) -> Iterator[str]:
    """Connections are gone, threads and files are few, in each live worker."""
    server.gate.close()
    for pid, before in server.baseline.items():
        try:
            yield from _compare(pid, before)
        except OSError:
            continue  # it has ended, and everything with it


def _compare(pid: int, before: Usage) -> Iterator[str]:
    allowed = {
        "sockets": before.sockets,
        "threads": before.threads + MAY_GROW_THREADS,
        "files": before.files + MAY_GROW_FILES,
    }
    for what, most in allowed.items():
        if not _settles(pid, what, most):
            yield f"worker {pid} leaks {what}: {before} became {Usage.of(pid)}"


def _settles(pid: int, what: str, most: int) -> bool:
    """Threads that end, and connections that close, take a moment."""
    try:
        return wait_for(lambda: getattr(Usage.of(pid), what) <= most, deadline=3)
    except TimeoutError:
        return False


def _stop(server: Server) -> Iterator[str]:
    try:
        status = server.stop()
    except TimeoutError as error:
        yield str(error)
    else:
        if status != 0:
            yield f"nginx exited with {status}"


def _left_behind(server: Server) -> Iterator[str]:
    try:
        wait_for(lambda: not server.started(), deadline=2)
    except TimeoutError:
        yield f"processes are left: {sorted(server.started())}"


def _log(server: Server) -> Iterator[str]:
    for path in server.log.files():
        if path.stat().st_size > MOST:
            yield f"{path} is longer than {MOST} bytes"
    expected = [re.compile(pattern) for pattern in server.expected_log]
    lines = server.log.lines()
    allowed = [_HARMLESS, *expected]
    for line in lines:
        if _SICK.search(line) and not any(pattern.search(line) for pattern in allowed):
            yield f"logged: {line}"
    for pattern in expected:
        if not any(pattern.search(line) for line in lines):
            yield f"not logged, although expected: {pattern.pattern}"
