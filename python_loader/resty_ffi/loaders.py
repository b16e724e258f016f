"""The loaders beside each other: which Pythons there are, and the default."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .paths import LIBDIR

DEFAULTS = ("libffi_python3.so", "libresty_ffi_python.so")
"""What names no version."""


class LoaderError(Exception):
    """There is no such loader, or the folder cannot be written."""


def versions() -> list[str]:
    """Of the Pythons that a loader was built for, oldest first."""
    found = (re.fullmatch(r"libffi_python(3\.\d+)\.so", path.name) for path in LIBDIR.iterdir())
    return sorted((match[1] for match in found if match), key=lambda text: int(text[2:]))


def default() -> str | None:
    """The version that libffi_python3.so is of."""
    content = (LIBDIR / DEFAULTS[0]).read_bytes()
    for version in versions():
        if (LIBDIR / _name(version)).read_bytes() == content:
            return version
    return None


def use(version: str) -> None:
    """Makes that version the default: each name changes at once or not at all.

    Raises LoaderError.
    """
    if version not in versions():
        raise LoaderError(
            f"no loader for Python {version} in {LIBDIR}, but for {', '.join(versions())}: "
            "make loader PYTHON=... builds one"
        )
    try:
        for name in DEFAULTS:
            _link(LIBDIR / name, _name(version))
    except OSError as error:
        raise LoaderError(str(error)) from error


def _name(version: str) -> str:
    return f"libffi_python{version}.so"


def _link(path: Path, target: str) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        new.symlink_to(target)
        new.replace(path)
    finally:
        if new.is_symlink():
            new.unlink()
