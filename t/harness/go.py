"""Go libraries, built once per session."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from .config import TESTS

APPS = TESTS / "apps" / "go"

GO = TESTS.parent / "scripts" / "go"


def build(source: Path, output: Path, text: str = "") -> Path:
    """Builds the folder's package into output, over what is there. text becomes
    the value of its variable main.text.

    Raises CalledProcessError; go has said why on standard error.
    """
    flags = ["-buildmode=c-shared", f"-ldflags=-X main.text={text}"]
    # As the linker does it: what is mapped keeps its file.
    made = output.with_suffix(".new")
    subprocess.run([GO, "build", *flags, "-o", made, "."], cwd=source, check=True)
    return made.rename(output)


def build_all(folder: Path) -> None:
    """Builds every app into folder, unless another process of this session
    already did."""
    folder.mkdir(exist_ok=True)
    done = folder / "go-done"
    with (folder / "go-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            for source in sorted(APPS.iterdir()):
                build(source, folder / f"lib{source.name}.so")
            done.touch()
