"""The Rust libraries under t/apps/rust, built once per session."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

from .config import TESTS

PROJECT = TESTS.parent
CRATES = TESTS / "apps" / "rust"


def build_all(folder: Path) -> Path:
    """Puts the libraries into folder, unless another process of this session
    already did, and returns folder.

    Raises CalledProcessError; cargo has said why on standard error.
    """
    done = folder / "rust.done"
    with (folder / "rust.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _build([path.name for path in CRATES.glob("rust_*")], folder)
            done.touch()
    return folder


def _build(crates: list[str], folder: Path) -> None:
    names = [option for crate in crates for option in ("-p", crate)]
    command = ["cargo", "build", "--quiet", "--locked", "--release", *names]
    subprocess.run(command, cwd=PROJECT, check=True)
    for crate in crates:
        shutil.copy(PROJECT / "build" / "rust" / "release" / f"lib{crate}.so", folder)
