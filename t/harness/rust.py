"""The Rust libraries under t/apps/rust, built once per session."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .config import TESTS
from .once import once

PROJECT = TESTS.parent
CRATES = TESTS / "apps" / "rust"


def build_all(folder: Path) -> Path:
    """Puts the libraries into folder, unless another process of this session
    already did, and returns folder.

    Raises CalledProcessError; cargo has said why on standard error.
    """
    crates = [path.name for path in CRATES.glob("rust_*")]
    once(folder, "rust", lambda: _build(crates, folder))
    return folder


def _build(crates: list[str], folder: Path) -> None:
    names = [option for crate in crates for option in ("-p", crate)]
    command = ["cargo", "build", "--quiet", "--locked", "--release", *names]
    subprocess.run(command, cwd=PROJECT, check=True)
    for crate in crates:
        shutil.copy(PROJECT / "build" / "rust" / "release" / f"lib{crate}.so", folder)
