"""Go libraries, built once per session."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .config import TESTS
from .library import INCLUDE
from .once import once

APPS = TESTS / "apps" / "go"

LIBRARIES = ("go_apps", "go_cfg", "go_raw")
"""What most tests use; the others are built where they are."""

GO = TESTS.parent / "scripts" / "go"

SDK = TESTS.parent / "sdk" / "go"


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
    """Builds LIBRARIES into folder, unless another process of this session
    already did."""
    once(
        folder,
        "go",
        lambda: [build(APPS / name, folder / f"lib{name}.so") for name in LIBRARIES],
    )


def compile_with_the_contract(source: Path) -> None:
    """Raises CalledProcessError where it declares a function otherwise."""
    flags = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{INCLUDE}"]
    command = ["cc", *flags, "-include", "ngx_http_lua_ffi.h", source]
    subprocess.run(command, check=True)
