"""A program that ends, with all that it has started, when this process does."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import IO, Callable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1

# Looked up here: a child that forked from threads had better not.
_prctl = ctypes.CDLL(None).prctl


class Process:
    """Leads a session of its own, so that Ctrl-C is not for it. Any thread."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], *, has_pipe: bool) -> None:
        """has_pipe: whether stderr is a pipe; else nobody reads it."""
        self._command = command
        self._env = env
        self._has_pipe = has_pipe
        self._started: Future[subprocess.Popen[bytes]] = Future()
        self._lock = threading.Lock()
        self._code: int | None = None  # guarded by lock
        self._keeper = threading.Thread(target=self._keep, name="resty-ffi", daemon=True)

    def start(self) -> None:
        """Raises OSError."""
        self._keeper.start()
        self._started.result()

    @property
    def pid(self) -> int:
        return self._started.result().pid

    @property
    def stderr(self) -> IO[bytes] | None:
        return self._started.result().stderr

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        with self._lock:
            return self._code

    def end(self, number: int, seconds: float) -> None:
        """Sends it the signal and waits; after the seconds all of it is killed.
        Does nothing when it has ended, or has not started."""
        if self._keeper.ident is None or self._started.exception() is not None:
            return
        self._send(os.kill, number)
        self._keeper.join(seconds)
        self._send(os.killpg, signal.SIGKILL)
        self._keeper.join()

    def _send(self, send: Callable[[int, int], None], number: int) -> None:
        with self._lock, suppress(ProcessLookupError):
            if self._code is None:
                send(self.pid, number)

    def _keep(self) -> None:
        # The kernel ends the program when the thread that started it is gone,
        # not the process: this thread stays as long as the program does.
        try:
            process = subprocess.Popen(
                self._command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE if self._has_pipe else subprocess.DEVNULL,
                preexec_fn=_dying_with(os.getpid()),
                start_new_session=True,
            )
        except BaseException as error:
            self._started.set_exception(error)
            return
        self._started.set_result(process)

        with suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            # As long as it is not reaped its group's number is nobody else's.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            self._code = process.wait()


def _dying_with(parent: int) -> Callable[[], None]:
    def prepare() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return prepare
