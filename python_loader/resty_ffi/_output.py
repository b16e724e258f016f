"""What Python code prints, warns of and logs goes to nginx's error.log.

Lines are whole and bear the name of the runtime whose code wrote them, and the
id of the request that it was called for. What Python itself says of uncaught
exceptions it writes to sys.stderr.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
import warnings
from typing import Any, BinaryIO

import _resty_ffi

from resty_ffi import _task
from resty_ffi._imports import current
from resty_ffi._modules import Modules

_LINE_MAX = 32 * 1024
"""A longer line is cut: it would be kept in memory until it ends."""

_emit_record = logging.StreamHandler.emit


class _Thread(threading.local):
    """Of each thread: the nginx level of the log record being written."""

    level: int | None = None


_thread = _Thread()


def install() -> None:
    """Redirects all output. Once per process."""
    sys.stdout = _Stream("<stdout>", _resty_ffi.NOTICE)
    sys.stderr = _Stream("<stderr>", _resty_ffi.ERR)
    warnings.showwarning = _show_warning
    logging.StreamHandler.emit = _emit_with_level  # type: ignore[method-assign]


def write(level: int, text: str, modules: Modules | None) -> None:
    """Writes text to error.log, in the name of the call or the runtime that the
    code belongs to, if it does to one."""
    if modules is not None:
        text = modules.clean(text)
    data = text.encode("utf-8", "backslashreplace")
    task: Any = _task.find()
    if task is not None and task.handle:
        task.log(level, data)
    else:
        _resty_ffi.log(modules.tq if modules is not None else 0, level, data)


class _Line:
    """The line that a thread has begun and not ended."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._text = ""
        self._modules: Modules | None = None

    def add(self, text: str) -> None:
        modules = current()
        whole, newline, self._text = (self._text + text).rpartition("\n")
        self._modules = modules if self._text else None
        if newline:
            self._write(whole, modules)
        elif len(self._text) > _LINE_MAX:
            self.end()

    def end(self) -> None:
        text, self._text = self._text, ""
        modules, self._modules = self._modules, None
        if text:
            self._write(text, modules)

    def _write(self, text: str, modules: Modules | None) -> None:
        write(self._level if _thread.level is None else _thread.level, text, modules)

    # The thread is gone.
    __del__ = end


class _Lines(threading.local):
    def __init__(self, level: int) -> None:
        self.line = _Line(level)


class _Stream(io.TextIOBase):
    """A standard stream."""

    def __init__(self, name: str, level: int) -> None:
        self.name = name
        self.mode = "w"
        self._lines = _Lines(level)
        self._buffer = _Buffer(self)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    @property
    def line_buffering(self) -> bool:
        return True

    @property
    def buffer(self) -> BinaryIO:
        return self._buffer  # type: ignore[return-value]

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._lines.line.add(text)
        return len(text)

    def flush(self) -> None:
        self._lines.line.end()

    def close(self) -> None:
        """Stays open: all runtimes write to it."""


class _Buffer(io.BufferedIOBase):
    """The same stream for bytes."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._stream.write(bytes(data).decode("utf-8", "backslashreplace"))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        """As the stream's."""


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    text = warnings.formatwarning(message, category, filename, lineno, line)
    if file is not None:
        file.write(text)
    else:
        write(_resty_ffi.WARN, text.rstrip("\n"), current())


def _emit_with_level(self: Any, record: logging.LogRecord) -> None:
    outer, _thread.level = _thread.level, _level(record.levelno)
    try:
        _emit_record(self, record)
    finally:
        _thread.level = outer


def _level(levelno: int) -> int:
    if levelno >= logging.CRITICAL:
        return _resty_ffi.CRIT
    if levelno >= logging.ERROR:
        return _resty_ffi.ERR
    if levelno >= logging.WARNING:
        return _resty_ffi.WARN
    if levelno >= logging.INFO:
        return _resty_ffi.INFO
    return _resty_ffi.DEBUG
