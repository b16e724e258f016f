"""What is built once per session, whichever process comes first."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Callable


def once(folder: Path, what: str, build: Callable[[], object]) -> None:
    """Calls build unless it has returned before, in any process, for the same
    what in folder. Others wait meanwhile; when it raises, the next one tries."""
    folder.mkdir(exist_ok=True)
    done = folder / f"{what}.done"
    with (folder / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            build()
            done.touch()
