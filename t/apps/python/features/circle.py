"""Imports a module that imports this one."""

BEFORE = "before"

from features import ring  # noqa: E402

AFTER = ring.SEEN
