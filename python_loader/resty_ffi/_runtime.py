"""Runtimes: what nginx loads and unloads. Imported by the loader only.

A runtime has a thread: it imports the module, calls the entry function, serves
and ends the handler, so that what the one made (an SQLite connection, say) the
other may use.
"""

from __future__ import annotations

import _posixsubprocess
import gc
import os
import subprocess
import sys
import threading
import typing

import _resty_ffi

from resty_ffi import (
    _entry,
    _handler,
    _imports,
    _loggers,
    _output,
    _server,
    _stack,
    _task,
    _threads,
)
from resty_ffi._modules import Modules
from resty_ffi._report import report
from resty_ffi._serve import Entry, serve

_runtimes: dict[int, Runtime] = {}
"""By queue: those that are loading or loaded."""


class LoadError(Exception):
    """The entry function is missing or says that it failed."""


class Runtime:
    def __init__(self, tq: int, entry: _entry.Entry) -> None:
        self.tq = tq
        self._entry = entry
        fresh = entry.fresh or _resty_ffi.is_reload(tq)
        self._modules = Modules(entry.module, entry.folder, fresh, tq)
        self._threads = _threads.Watch()
        self._server: _server.Server | None = None
        self._loaded = threading.Event()
        self._failure: bytes | None = b"the load ended without a word"
        # A daemon, and so are the threads that it starts: none keeps the
        # worker from exiting.
        self._thread = threading.Thread(target=self._run, name=entry.name, daemon=True)
        _imports.adopt(self._thread, self._modules)

    def load(self) -> bytes | None:
        """Waits until the entry function has returned. None, or what failed."""
        try:
            self._thread.start()
        except RuntimeError as error:
            return str(error).encode()
        self._loaded.wait()
        return self._failure

    def serve(self, entry: Entry, cfg: int) -> None:
        """Makes the handler, which is to serve once the runtime is loaded. cfg
        is the address of its configuration, or 0."""
        if self._loaded.is_set() or self._server is not None:
            raise RuntimeError("a runtime is served by one handler, set while it is loaded")
        text = os.fsdecode(_resty_ffi.string_at(cfg)) if cfg else ""
        self._server = _server.start(entry, text, self.tq)

    def stack(self, handle: int) -> str:
        """Where the code of an unanswered call is; empty when that is not
        known. Any thread."""
        text = _stack.of_running(handle)
        if not text and self._server is not None:
            text = _stack.of_waiting(self._server.find_waiting(handle))
        return self._modules.clean(text)

    def close(self) -> bool:
        """Waits for the thread, which the end of the queue ends. Whether there
        were modules to forget."""
        if self._thread.ident is not None:
            _join(self._thread)
        self._threads.end()
        _loggers.drop(self._modules)
        return self._modules.drop()

    def _run(self) -> None:
        try:
            self._enter()
            self._failure = None
        except LoadError as error:
            self._failure = str(error).encode("utf-8", "backslashreplace")
        except BaseException as error:
            self._failure = report(error)
        finally:
            self._loaded.set()

        if self._server is not None:
            if self._failure is None:
                self._server.run()
            self._server.close()

    def _enter(self) -> None:
        module = self._modules.load()
        function = getattr(module, self._entry.function, None)
        if function is None:
            raise LoadError(f"{self._entry.module} has no {self._entry.function}")

        if not _handler.is_entry(function):
            function = serve(function)
        result = function(self._entry.cfg, self.tq)
        if callable(result):
            raise LoadError(
                f"{self._entry.module}.{self._entry.function} returned a function: what serve() "
                "returns is to be called, serve(handler)(cfg, tq)"
            )
        if result is not None and result != 0:
            raise LoadError(f"{self._entry.module}.{self._entry.function} returned {result!r}")


def _join(thread: threading.Thread) -> None:
    thread.join()
    # join() has made an object of this thread, which is not one of Python's:
    # before 3.13 that would stay for ever.
    dummy = threading.current_thread()
    if isinstance(dummy, threading._DummyThread):
        dummy._delete()  # type: ignore[attr-defined]


_plain_fork_exec: typing.Any = _posixsubprocess.fork_exec


def _fork_exec(*arguments: typing.Any) -> int:
    """Without vfork(), which Python 3.14 gives up only for a child that gets a group: its
    own will do. The last five are gid, gids, uid, umask and preexec_fn."""
    gid = os.getegid() if arguments[-5] is None else arguments[-5]
    return int(_plain_fork_exec(*arguments[:-5], gid, *arguments[-4:]))


def install() -> None:
    """Prepares the interpreter. Once per process, on its main thread."""
    # Only fork() has the loader unblock signals for the child (interpreter.c).
    _task.on_thread = _resty_ffi.current_task
    for name in ("_USE_POSIX_SPAWN", "_USE_VFORK"):
        setattr(subprocess, name, False)
    if sys.version_info >= (3, 14):
        _posixsubprocess.fork_exec = subprocess._fork_exec = _fork_exec
    _output.install()
    _imports.install()
    _loggers.install()


def load(tq: int, cfg: bytes | None, address: int) -> bytes | None:
    """Starts the runtime of a configuration, which is at the address.

    None when it runs, else what failed.
    """
    try:
        entry = _entry.parse(cfg, address)
    except ValueError as error:
        return str(error).encode("utf-8", "backslashreplace")

    _runtimes[tq] = Runtime(tq, entry)
    failure = _runtimes[tq].load()
    if failure is not None:
        unload(tq)
    return failure


def unload(tq: int) -> None:
    """Waits for the runtime's thread, then forgets its modules."""
    if _runtimes.pop(tq).close():
        # They keep classes that generic types were made of.
        for clean_up in getattr(typing, "_cleanups", ()):
            clean_up()
        # Modules and their functions refer to each other.
        gc.collect()


def overdue(tq: int, handle: int) -> bytes | None:
    """What to log of a call that has passed its deadline."""
    runtime = _runtimes.get(tq)
    stack = runtime.stack(handle) if runtime is not None else ""
    return f"its handler is at:\n{stack}".encode("utf-8", "backslashreplace") if stack else None


def busy() -> bytes | None:
    """Why Python cannot be ended, or None. When there is no runtime."""
    gc.collect()
    reason = _threads.busy()
    return reason.encode("utf-8", "backslashreplace") if reason else None


def find(tq: int) -> Runtime:
    """The runtime of a queue. RuntimeError when there is none."""
    runtime = _runtimes.get(tq)
    if runtime is None:
        raise RuntimeError(f"{tq:#x} is not the task queue of a runtime")
    return runtime
