"""Handlers: what serve() was given, made ready to answer calls.

Nothing here needs nginx.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable, Dict, Iterator

from resty_ffi._error import Error

Call = Callable[[Any], Any]

_CLOSERS = ("aclose", "close")

# Callable only once they are bound.
_WRAPPERS = (staticmethod, classmethod, functools.partialmethod)

_HEAP_TYPE = 1 << 9
"""The flag of classes that are not written in C."""


class _Methods(Dict[str, Call]):
    """By name. A name that is not there raises the caller's error."""

    def __missing__(self, name: str) -> Call:
        raise Error(1, f"no method {name!r}")


class Dispatcher:
    """Finds what answers a call: the handler, when it is a function, else its
    public method of that name."""

    def __init__(self, handler: Any, in_loop: bool = False) -> None:
        """in_loop: all that is found is to be awaited.

        Raises TypeError when the handler has nothing to call.
        """
        prepare = _as_async if in_loop else _as_is
        self.function: Call | None = None
        self.methods = _Methods()
        if _is_function(handler):
            self.function = prepare(handler)
        else:
            self.methods.update((name, prepare(call)) for name, call in _methods(handler))
            if not self.methods or type(handler).__module__ == "builtins":
                raise TypeError(
                    "handler must be a function, a class or an object with methods, "
                    f"not {type(handler).__name__}"
                )
        self._handler = handler

    def find(self, method: str) -> Call:
        """Raises Error when there is none."""
        return self.function or self.methods[method]

    def close(self) -> Any:
        """Ends the handler. What is returned may have to be awaited."""
        for name in () if self.function else _CLOSERS:
            closer = getattr(self._handler, name, None)
            if callable(closer):
                return closer()
        return None


def is_entry(function: Any) -> bool:
    """Whether it is an entry function: two arguments, both needed, and not a
    handler. What does not tell its arguments is taken for one."""
    if not callable(function) or inspect.isclass(function):
        return False
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in positional and p.default is p.empty]
    return len(needed) == 2


def is_factory(handler: object) -> bool:
    """Whether it is called with the configuration and returns the handler: a
    class, or a function whose first parameter is named cfg."""
    if inspect.isclass(handler):
        return True
    return _is_function(handler) and _first_parameter(handler) == "cfg"


def make(handler: Any, cfg: Callable[[], Any]) -> Any:
    """The handler, of its factory if that is what was given. What is returned
    may have to be awaited. cfg is asked for the configuration if it is taken."""
    if not is_factory(handler):
        return handler
    if inspect.isclass(handler) and not _takes_cfg(handler):
        return handler()
    return handler(cfg())


def is_async(handler: Any) -> bool:
    """Whether it needs an event loop, as far as can be seen from here: one of
    its methods is async, or it is an async function itself."""
    if _is_function(handler):
        return _is_async_function(handler)
    closers = (getattr(handler, name, None) for name in _CLOSERS)
    return any(map(_is_async_function, (*dict(_methods(handler)).values(), *closers)))


def _as_is(call: Call) -> Call:
    return call


def _as_async(call: Call) -> Call:
    if inspect.iscoroutinefunction(call):
        return call

    async def awaited(request: Any) -> Any:
        response = call(request)
        return await response if inspect.isawaitable(response) else response

    return awaited


def _methods(handler: Any) -> Iterator[tuple[str, Call]]:
    """Of an object, or of a class before there is one."""
    kind = handler if inspect.isclass(handler) else type(handler)
    for name in dir(kind):
        if name.startswith("_") or name in _CLOSERS or not _is_method(kind, name):
            continue
        method = getattr(handler, name, None)
        if callable(method):
            yield name, method

    call = getattr(kind, "__call__", None)  # noqa: B004
    if inspect.isfunction(call):
        yield "", call if handler is kind else handler


def _is_method(kind: type, name: str) -> bool:
    """Whether somebody wrote it as one: what Lua may call is neither what an
    object happens to have, nor what dict and the like bring along."""
    for base in kind.__mro__:
        if name in vars(base):
            found = vars(base)[name]
            return bool(base is kind or base.__flags__ & _HEAP_TYPE) and (
                isinstance(found, _WRAPPERS)
                or (callable(found) and hasattr(found, "__get__") and not inspect.isclass(found))
            )
    return False


def _is_function(handler: Any) -> bool:
    """Whether calls of every name are its own."""
    if inspect.isclass(handler) or not callable(handler):
        return False
    # functools.partial and functools.lru_cache have methods, too.
    if inspect.isroutine(handler) or hasattr(handler, "__wrapped__"):
        return True
    if isinstance(handler, functools.partial):
        return True
    return not any(name for name, _ in _methods(handler))


def _is_async_function(call: Any) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(
        getattr(type(call), "__call__", None)  # noqa: B004
    )


def _first_parameter(function: Any) -> str | None:
    return next(iter(_parameters(function)), None)


def _takes_cfg(kind: Any) -> bool:
    """Whether the class wants something: what is optional must be named so."""
    parameters = _parameters(kind)
    first = next(iter(parameters.values()), None)
    if first is None or first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
        return False
    return first.default is first.empty or first.name == "cfg"


def _parameters(call: Any) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(call).parameters)
    except (TypeError, ValueError):
        return {}
