"""Loggers: those named after private modules are private, too.

logging.getLogger(__name__) gives each runtime a logger of its own, named
"app.sub" for people. A configuration for "app" means the caller's, and one that
disables all other loggers does not reach into other runtimes. The root logger
and those of shared modules are shared.
"""

from __future__ import annotations

import logging
from typing import Any, Dict, Iterable, Iterator

from resty_ffi._imports import current
from resty_ffi._modules import Modules, owner


class _Manager(logging.Manager):
    def getLogger(self, name: str) -> logging.Logger:  # noqa: N802
        modules = current()
        if modules is not None and isinstance(name, str):
            name = modules.clean(name)
        return super().getLogger(name)


class _Loggers(Dict[str, Any]):
    """All loggers by name, as the runtime that asks sees them."""

    def __contains__(self, name: Any) -> bool:
        return super().__contains__(_key(name))

    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(_key(name))

    def __setitem__(self, name: str, logger: Any) -> None:
        super().__setitem__(_key(name), logger)

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(_key(name), default)

    def __iter__(self) -> Iterator[str]:
        modules = current()
        for key in list(super().keys()):
            if owner(key) is None:
                yield key
            elif owner(key) is modules and modules is not None:
                yield modules.clean(key)

    def keys(self) -> Any:
        return list(self)

    def items(self) -> Any:
        items: Iterable[tuple[str, Any]] = [(name, self[name]) for name in self]
        return items

    def drop(self, modules: Modules) -> None:
        for key in list(super().keys()):
            if owner(key) is modules:
                super().pop(key, None)


def install() -> None:
    """Once per process."""
    manager = logging.Logger.manager
    manager.__class__ = _Manager
    manager.loggerDict = _Loggers(manager.loggerDict)


def drop(modules: Modules) -> None:
    """Forgets a runtime's loggers."""
    loggers = logging.Logger.manager.loggerDict
    if isinstance(loggers, _Loggers):
        loggers.drop(modules)


def _key(name: str) -> str:
    modules = current()
    return name if modules is None else modules.known(name)
