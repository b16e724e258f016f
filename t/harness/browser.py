"""Chromium without a window."""

from __future__ import annotations

import subprocess
from pathlib import Path

# As root it has no sandbox, and in a container little of /dev/shm.
_OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]

_WAIT = "--virtual-time-budget=1000"
"""That time stands still while something is fetched."""

_DEADLINE = 120
"""Seconds; the first start takes long on a busy machine."""


class Browser:
    """One page at a time, each in a fresh profile below folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def html(self, url: str, milliseconds: int) -> str:
        """The page as it is when so much time has passed for its scripts."""
        return self._run(url, "--dump-dom", f"--virtual-time-budget={milliseconds}")

    def screenshot(self, url: str) -> bytes:
        """As PNG, without any script; it may not have come yet."""
        frame = self._folder / "frame.html"
        frame.write_text(f'<iframe sandbox src="{url}" width="1200" height="900"></iframe>')
        path = self._folder / "screenshot.png"
        self._run(frame.as_uri(), f"--screenshot={path}", "--window-size=1250,950", _WAIT)
        return path.read_bytes()

    def _run(self, url: str, *options: str) -> str:
        profile = f"--user-data-dir={self._folder / 'profile'}"
        command = ["chromium", *_OPTIONS, profile, *options, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE)
        assert done.returncode == 0, done.stderr
        return done.stdout
