"""resty-ffi run, as a user at a terminal sees it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from . import target
from .wait import DEADLINE, wait_for

COMMAND = Path(sys.executable).parent / "resty-ffi"


class Run:
    """One that serves. output is all that it has printed so far."""

    def __init__(self, started: subprocess.Popen[str], folder: Path) -> None:
        self._started = started
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.folder = folder
        self.port = int(wait_for(self._says_where)[1])

    def _says_where(self) -> re.Match[str] | None:
        return re.search(r"serves http://.*:(\d+)", self.output)

    def _read(self) -> None:
        assert self._started.stdout is not None
        for line in self._started.stdout:
            self.output += line

    def wait(self, text: str) -> None:
        wait_for(lambda: text in self.output)

    def ask(self, path: str = "/", body: str | None = None) -> tuple[int, str]:
        """Status and body of a GET, or of a POST when there is a body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request("POST" if body is not None else "GET", path, body)
            response = connection.getresponse()
            return response.status, response.read().decode().rstrip("\n")
        finally:
            connection.close()

    def end(self, number: int = signal.SIGINT) -> int:
        """Its exit status."""
        self.signal(number)
        return self._started.wait(DEADLINE)

    def signal(self, number: int) -> None:
        self._started.send_signal(number)


@contextmanager
def started(
    folder: Path, *arguments: str, handler: str = "app:KV", command: Path = COMMAND
) -> Iterator[subprocess.Popen[str]]:
    """In the folder, which has the handler; ended afterwards."""
    run = subprocess.Popen(
        [command, "run", handler, "--port", "0", *arguments],
        cwd=folder,
        env={**os.environ, "NGINX_BIN": target.find().nginx},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield run
    finally:
        if run.poll() is None:
            run.terminate()
        run.wait(DEADLINE)


@contextmanager
def running(
    folder: Path, *arguments: str, handler: str = "app:KV", command: Path = COMMAND
) -> Iterator[Run]:
    """The same when it serves."""
    with started(folder, *arguments, handler=handler, command=command) as run:
        yield Run(run, folder)
