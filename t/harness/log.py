"""What nginx and the sanitizers wrote."""

from __future__ import annotations

import re
from pathlib import Path

from .wait import DEADLINE, wait_for

MOST = 64 << 20
"""Bytes of each file that are read: a test must not log more."""


class Log:
    """The error.log, standard error and sanitizer reports of one server."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "error.log"
        self.stderr = folder / "stderr.log"
        self.sanitizer = folder / "sanitizer"

    def files(self) -> list[Path]:
        reports = sorted(self.sanitizer.parent.glob(self.sanitizer.name + ".*"))
        return [path for path in [self.path, self.stderr, *reports] if path.exists()]

    def lines(self) -> list[str]:
        return [line for path in self.files() for line in _read(path).splitlines()]

    def find(self, pattern: str) -> list[str]:
        return [line for line in self.lines() if re.search(pattern, line)]

    def wait(self, pattern: str, deadline: float = DEADLINE) -> str:
        """The first line that the pattern is found in, waiting for it."""
        return wait_for(lambda: self.find(pattern), deadline)[0]

    def tail(self, count: int = 60) -> str:
        return "\n".join(self.lines()[-count:])


def _read(path: Path) -> str:
    with path.open(errors="replace") as file:
        return file.read(MOST)
