"""The servers of others, each one process on a unix socket, as they come."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from harness import process
from harness.wait import wait_for

APPS = Path(__file__).parent / "apps"

SOCKET = "socket"

_THREADS = "4"
"""Of the servers that need one for each request in work."""


def _commands(path: str) -> dict[str, list[str]]:
    scripts = Path(sysconfig.get_path("scripts"))
    return {
        SOCKET: [sys.executable, str(APPS / "socket_echo.py"), path],
        "uvicorn": [
            *(f"{scripts}/uvicorn", "asgi_echo:app", "--uds", path, "--loop", "uvloop"),
            *("--http", "httptools", "--no-access-log", "--log-level", "error"),
            *("--timeout-keep-alive", "600"),
        ],
        "granian": [
            *(f"{scripts}/granian", "--interface", "asgi", "--uds", path, "--loop", "uvloop"),
            *("--no-access-log", "--log-level", "error", "asgi_echo:app"),
        ],
        "gunicorn": [
            *(f"{scripts}/gunicorn", "--bind", f"unix:{path}", "--worker-class", "gthread"),
            *("--threads", _THREADS, "--keep-alive", "600", "--log-level", "error"),
            *("--worker-connections", "1000", "wsgi_echo:app"),
        ],
        "uWSGI": [
            *(f"{scripts}/uwsgi", "--http11-socket", path, "--master", "--die-on-term"),
            *("--threads", _THREADS, "--module", "wsgi_echo:app", "--disable-logging"),
            *("--so-keepalive", "--http-keepalive", "--need-app", "--listen", "128"),
        ],
    }


HTTP = [name for name in _commands("") if name != SOCKET]
"""Those that nginx talks to by proxy_pass."""


def path(folder: Path, name: str) -> Path:
    """Where it listens."""
    return folder / f"{name}.sock"


def upstreams(folder: Path) -> str:
    """nginx.conf, level http: one for each of HTTP, under its name."""
    return "".join(
        f"upstream {name} {{ server unix:{path(folder, name)}; keepalive 64; }}\n" for name in HTTP
    )


@contextmanager
def started(folder: Path) -> Iterator[dict[str, int]]:
    """Yields the pids; all listen."""
    running = {}
    try:
        for name in _commands(""):
            listens_at = path(folder, name)
            with listens_at.with_suffix(".log").open("w") as log:
                running[name] = subprocess.Popen(
                    _commands(str(listens_at))[name], cwd=APPS, stdout=log, stderr=log
                )
            wait_for(listens_at.exists)
        yield {name: peer.pid for name, peer in running.items()}
    finally:
        for peer in running.values():
            peer.terminate()
            peer.wait()


def installed() -> bool:
    return all(shutil.which(command[0]) for command in _commands("").values())


def pids(pid: int) -> set[int]:
    """A peer's processes."""
    return {pid} | process.descendants(pid)
