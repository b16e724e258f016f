"""The C libraries under t/lib, built once per session."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from . import target
from .config import TESTS
from .once import once

SOURCES = TESTS / "lib"
INCLUDE = TESTS.parent / "include"

_FLAGS = [
    "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
    "-fPIC", "-shared", "-pthread", f"-I{INCLUDE}",
]  # fmt: skip


def _link_flags(needs: str) -> list[str]:
    return ["-L.", "-Wl,--no-as-needed", f"-l{needs}", "-Wl,-rpath,$ORIGIN"]


_LINK_FLAGS = {
    "dependency": ["-Wl,-soname,libdependency.so"],
    "depends": _link_flags("dependency"),
}

_NOT_SANITIZED = {"fault"}
"""What runs before the sanitizer does."""


def build(
    name: str, folder: Path, defines: dict[str, str] | None = None, needs: str | None = None
) -> Path:
    """Compiles t/lib/<name>.c into folder as lib<name>.so, over what is there;
    linked with the library needs, which must be in the folder.

    Raises CalledProcessError; the compiler has said why on standard error.
    """
    output = folder / f"lib{name}.so"
    sanitize = ["-fsanitize=address"] if target.ASAN and name not in _NOT_SANITIZED else []
    macros = [f"-D{key}={value}" for key, value in (defines or {}).items()]
    source = str(SOURCES / f"{name}.c")
    compiler = os.environ.get("CC", "cc")
    command = [compiler, *_FLAGS, *sanitize, *macros, source, "-o", output.name]
    links = _link_flags(needs) if needs else _LINK_FLAGS.get(name, [])
    subprocess.run([*command, *links], cwd=folder, check=True)
    return output


def replace(name: str, folder: Path, defines: dict[str, str] | None = None) -> None:
    """Puts another build in the place of folder's at once, as an installer does."""
    new = folder / "new"
    new.mkdir(exist_ok=True)
    build(name, new, defines).rename(folder / f"lib{name}.so")


def build_all(folder: Path) -> Path:
    """Builds every library into folder, unless another process of this session
    already did, and returns folder."""
    sources = sorted(SOURCES.glob("*.c"), key=_needs_others)
    once(folder, "c", lambda: [build(source.stem, folder) for source in sources])
    return folder


def copy(library: Path, folder: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copy(library, folder))


def _needs_others(source: Path) -> bool:
    return "-L." in _LINK_FLAGS.get(source.stem, [])
