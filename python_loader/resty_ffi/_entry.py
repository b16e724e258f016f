"""What a runtime's configuration asks for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_SHOWN = 200
"""Bytes of a configuration that an error repeats."""


class Entry(NamedTuple):
    """<module>[?],<function>[,<cfg>] taken apart."""

    folder: str | None
    """Searched first, for this runtime only."""

    module: str

    fresh: bool
    """Read every private module from disk again."""

    function: str

    cfg: int
    """The address of the cfg inside the configuration, 0 without one."""

    @property
    def name(self) -> str:
        return f"{self.module},{self.function}"


def parse(text: bytes | None, address: int) -> Entry:
    """The entry that the configuration at the address names.

    Raises ValueError.
    """
    if text is None:
        raise ValueError("no configuration: <module>,<function> is needed")

    parts = text.split(b",", 2)
    if len(parts) < 2 or not parts[1]:
        raise ValueError(f"no function in {_quoted(text)}: <module>,<function> is needed")

    path, function = map(os.fsdecode, parts[:2])
    fresh = path.endswith("?")
    folder, slash, module = (path[:-1] if fresh else path).rpartition("/")

    # A relative name would have no package to be relative to.
    if not all(module.split(".")):
        raise ValueError(f"no module in {_quoted(text)}: <module>,<function> is needed")

    return Entry(
        folder=str(Path(folder + slash).absolute()) if slash else None,
        module=module,
        fresh=fresh,
        function=function,
        cfg=address + len(parts[0]) + len(parts[1]) + 2 if len(parts) == 3 else 0,
    )


def _quoted(text: bytes) -> str:
    """Without what may be secret: the function's part, and JSON in front of it."""
    shown = text[:1] if text[:1] in (b"{", b"[") else b",".join(text.split(b",")[:2])[:_SHOWN]
    return f'"{os.fsdecode(shown)}{"..." if len(shown) < len(text) else ""}"'
