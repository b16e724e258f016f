"""resty-ffi run: from a Python file to an nginx that answers HTTP with it."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Dict

from .server import Server, ServerError

_POLL = 0.25
"""Seconds between two looks at the files."""

_SKIPPED = {"__pycache__", "node_modules", "site-packages"}

# Of a line: level, process, text.
_LINE = re.compile(r"^\S+ \S+ \[(\w+)\] \S+ (?:\*\d+ )?(.*)$")
_OURS = re.compile(r'^ffi: (?:runtime "[^"]*"(, request "[^"]*")?(?::| (?=failed)) ?)?')

_QUIET = ("notice", "info", "debug")

Stamps = Dict[str, int]


def main(
    handler: str,
    *,
    host: str,
    port: int,
    workers: int,
    reload: bool,
    cfg: str,
    nginx: str | None,
) -> int:
    """Serves until SIGINT or SIGTERM. The exit code."""
    folder, name = locate(handler)
    try:
        server = Server(
            name,
            folder=folder,
            cfg=cfg,
            host=host,
            port=port,
            workers=workers,
            error_log="stderr",
            nginx=nginx,
        )
    except ServerError as error:
        return _fail(str(error))
    try:
        return _serve(server, folder if reload else None, handler)
    except ServerError as error:
        return _fail(str(error))
    finally:
        server.stop()


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


def _serve(server: Server, watched: Path | None, handler: str) -> int:
    asked = _Asked()
    stamps = _stamps(watched) if watched else {}
    server.start()
    assert server.process.stderr is not None
    lines = threading.Thread(target=_print_lines, args=[server.process.stderr], daemon=True)
    lines.start()

    why = server.check()
    if why is not None and watched is None:
        return _fail(f"{handler} does not load: {why}")
    if why is not None:
        print(f"resty-ffi: {handler} does not load yet: {why}", file=sys.stderr)

    print(f"{handler} serves {server.url} (Ctrl-C ends it)", flush=True)
    while not asked.wait(_POLL):
        code = server.process.poll()
        if code is not None:
            lines.join()
            return _fail(f"nginx has exited with code {code}")
        if watched:
            stamps = _follow(server, watched, stamps)
    return 0


def _follow(server: Server, folder: Path, before: Stamps) -> Stamps:
    """Reloads when a file has changed."""
    now = _stamps(folder)
    if now == before:
        return before
    time.sleep(_POLL / 5)  # editors write more than once
    now = _stamps(folder)
    why = server.reload()
    changed = sorted(path for path in {*now, *before} if now.get(path) != before.get(path))
    if why is None:
        print(f"reloaded: {', '.join(map(os.path.basename, changed))}", flush=True)
    else:
        print(f"resty-ffi: not reloaded, the old code serves on: {why}", file=sys.stderr)
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


def _print_lines(pipe: BinaryIO) -> None:
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
        elif level not in _QUIET:
            print(f"[{level}] nginx: {message}", file=sys.stderr, flush=True)


class _Asked:
    """Whether a signal has asked for the end."""

    def __init__(self) -> None:
        self._event = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def wait(self, seconds: float) -> bool:
        return self._event.wait(seconds)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._event.set()
