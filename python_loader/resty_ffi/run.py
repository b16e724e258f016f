"""resty-ffi run: from a Python file to an nginx that answers HTTP with it."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any, Dict, Iterator

from .server import Server, ServerError

_POLL = 0.25
"""Seconds between two looks at the files."""

_LAST_WORDS = 1.0
"""Seconds for the log's last lines: a child of a handler may have the pipe."""

_SKIPPED = {"__pycache__", "node_modules", "site-packages"}

# Of a line: level, process, text.
_LINE = re.compile(r"^\S+ \S+ \[(\w+)\] \S+ (?:\*\d+ )?(.*)$")
_OURS = re.compile(r'^ffi: (?:runtime "[^"]*"(, request "[^"]*")?(?::| (?=failed)) ?)?')

_QUIET = ("notice", "info", "debug")
_DIED = re.compile(r"worker process \d+ exited with code [1-9]")

Stamps = Dict[str, int]


def main(handler: str, *, reload: bool, **options: Any) -> int:
    """Serves until SIGINT or SIGTERM; options are those of Server. The exit
    code."""
    signals = _Signals()
    folder, name = locate(handler)
    try:
        server = Server(name, folder=folder, error_log="stderr", **options)
    except ServerError as error:
        return _fail(str(error))
    try:
        return _serve(server, signals, handler, folder if reload else None)
    except ServerError as error:
        return _fail(str(error))
    except _Ended:
        return 0
    finally:
        server.stop(now=True)


def _fail(why: str) -> int:
    print(f"resty-ffi: {why}", file=sys.stderr)
    return 1


def locate(handler: str) -> tuple[Path, str]:
    """The folder of a handler, and its "module:name" there: of "app:handle",
    "src/app.py:handle" or "package.app:handle"."""
    path, colon, name = handler.rpartition(":")
    folder, slash, module = path.rpartition("/")
    if module.endswith(".py"):
        module = module[: -len(".py")]
    return Path(folder + slash).absolute(), f"{module}{colon}{name}"


def _serve(server: Server, signals: _Signals, handler: str, watched: Path | None) -> int:
    stamps = _stamps(watched) if watched else {}
    with signals.raised():
        server.start()
        printer = threading.Thread(target=_print_lines, args=[server.stderr], daemon=True)
        printer.start()
        why = server.check()
    if why is not None and watched is None:
        return _fail(f"{handler} does not load: {why}")
    if why is not None:
        print(f"resty-ffi: {handler} does not load yet: {why}", file=sys.stderr)

    print(f"{handler} serves {server.url} (Ctrl-C ends it)", flush=True)
    while not signals.asked and server.exit_code is None:
        time.sleep(_POLL)
        if watched:
            stamps = _follow(server, signals, watched, stamps)

    if not signals.asked:
        printer.join(_LAST_WORDS)
        return _fail(f"nginx has exited with code {server.exit_code}")
    signals.asked = False
    with signals.raised():  # asked once more, it does not wait for requests
        server.stop()
    printer.join(_LAST_WORDS)
    return 0


def _follow(server: Server, signals: _Signals, folder: Path, before: Stamps) -> Stamps:
    """Reloads when a file has changed."""
    now = _stamps(folder)
    if now == before:
        return before
    time.sleep(_POLL / 5)  # editors write more than once
    now = _stamps(folder)
    with signals.raised():
        why = server.reload()
    changed = sorted(path for path in {*now, *before} if now.get(path) != before.get(path))
    if why is None:
        print(f"reloaded: {', '.join(map(os.path.basename, changed))}", flush=True)
    else:
        print(f"resty-ffi: not reloaded, {why}", file=sys.stderr)
    return now


def _stamps(folder: Path) -> Stamps:
    """The Python files below the folder, and when each was changed."""
    stamps = {}
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_skipped(Path(place, name))]
        for name in files:
            if name.endswith(".py"):
                path = os.path.join(place, name)  # noqa: PTH118
                try:
                    stamps[path] = os.stat(path).st_mtime_ns  # noqa: PTH116
                except OSError:
                    continue  # gone meanwhile
    return stamps


def _is_skipped(folder: Path) -> bool:
    name = folder.name
    return name.startswith(".") or name in _SKIPPED or (folder / "pyvenv.cfg").exists()


def _print_lines(pipe: IO[bytes]) -> None:
    """nginx's error.log, without its own notices."""
    for line in pipe:
        text = line.decode(errors="replace").rstrip("\n")
        found = _LINE.match(text)
        if not found:
            print(text, file=sys.stderr, flush=True)
            continue
        level, message = found[1], found[2]
        if message.startswith("ffi: "):
            print(f"[{level}] {_OURS.sub('', message)}", file=sys.stderr, flush=True)
        elif level not in _QUIET or _DIED.match(message):
            print(f"[{level}] nginx: {message}", file=sys.stderr, flush=True)


class _Ended(Exception):
    """A signal has come while it mattered."""


class _Signals:
    """SIGINT and SIGTERM ask for the end. They are noted, and where something
    may take long they raise."""

    def __init__(self) -> None:
        self.asked = False
        self._raises = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Raises _Ended when one comes, or has come."""
        self._raises = True
        try:
            if self.asked:
                raise _Ended
            yield
        finally:
            self._raises = False

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._raises:
            raise _Ended
