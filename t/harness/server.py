"""One nginx, in a folder of its own on a port of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable

import requests

from . import process, target
from .config import Config
from .gate import Gate
from .log import Log
from .port import Port
from .process import Adopted, Usage
from .wait import DEADLINE, wait_for

Values = Any
"""What Lua returned: a list without the nils at its end, nil as None, strings as
latin-1 of their bytes."""

_CLIENTS = 64


class Server:
    """An nginx under test.

    gate holds handlers, log is what it wrote, folder is its working folder
    (and that of every handler).
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.folder = Path(tempfile.mkdtemp(prefix="ffi-"))
        self.gate = Gate(self.folder)
        self.log = Log(self.folder)
        self.expected_log: list[str] = []
        self.baseline: dict[int, Usage] = {}
        self.others = process.descendants(os.getpid())
        self._port = Port()
        self._nginx: subprocess.Popen[bytes] | Adopted | None = None
        self._clients = ThreadPoolExecutor(_CLIENTS)
        self._config_path = self.folder / "nginx.conf"
        self._config_path.write_text(config.render(self.folder, self._port.number))

    # ---- life

    def start(self) -> None:
        """Returns when every worker runs and has run its init_worker."""
        with self.log.stderr.open("ab") as stderr:
            self._nginx = subprocess.Popen(
                [*self.config.launcher, *self._command(self.log.path)],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
            )
        if self.config.daemon and self._nginx.wait(DEADLINE) == 0:
            self._nginx = Adopted(wait_for(self._written_pid))
        wait_for(lambda: self._has_ended() or len(self.workers()) == self.config.workers)
        if self._has_ended():
            raise RuntimeError(f"nginx did not start:\n{self.log.tail()}")
        self._take_baseline()

    def reload(self) -> None:
        """Sends HUP; returns when only new workers take connections."""
        old = set(self.workers())
        self.signal("HUP")
        wait_for(lambda: self._is_renewed(old))
        self._take_baseline()

    def _is_renewed(self, old: set[int]) -> bool:
        now = set(self.workers())
        return len(now) == self.config.workers and not now & old

    def stop(self, name: str = "QUIT", deadline: float = DEADLINE) -> int:
        """Returns nginx's exit status; stops it only once.

        Raises TimeoutError when it has not ended within deadline seconds.
        """
        if self._nginx is None:
            return 0
        if self._nginx.poll() is None:
            self.signal(name)
        try:
            return self._nginx.wait(deadline)
        except (subprocess.TimeoutExpired, TimeoutError):
            raise TimeoutError(f"nginx still runs {deadline} s after {name}") from None

    def upgrade(self) -> int:
        """Sends USR2 to a daemon; returns the pid of the new master, which runs
        beside the old one, when its workers do."""
        old = self.pid
        self.signal("USR2")
        new = wait_for(lambda: self._written_pid() not in (0, old) and self._written_pid())
        wait_for(lambda: len(self.workers(new)) == self.config.workers)
        self._take_baseline()
        return new

    def follow(self, master: int) -> None:
        """From now on this master is the server; the one before must be told to
        end, and its end is waited for. Raises TimeoutError."""
        old, self._nginx = self._nginx, Adopted(master)
        assert old is not None
        assert old.wait() == 0

    def lose_master(self) -> None:
        """Kills the master; its workers are on their own from now on."""
        assert self._nginx is not None
        process.kill(self.pid)
        self._nginx.wait()
        self._nginx = None

    def signal(self, name: str, pid: int | None = None) -> None:
        os.kill(pid or self.pid, signal.Signals["SIG" + name])

    def check_config(self) -> subprocess.CompletedProcess[str]:
        """Runs "nginx -t"; its output is in the result's stderr only."""
        command = [*self._command("stderr"), "-t"]
        return subprocess.run(
            command, cwd=self.folder, env=self._environment(), capture_output=True, text=True
        )

    def close(self) -> None:
        """Kills what is left, lets go of everything but the folder."""
        self.gate.close()
        wait_for(self._kill_all)
        if self._nginx is not None:
            self._nginx.wait()
        self._clients.shutdown()
        self._port.release()

    def _kill_all(self) -> bool:
        """Again and again: a master replaces a worker before it dies itself."""
        started = self.started()
        for pid in started:
            process.kill(pid)
        return not started

    def remove(self) -> None:
        shutil.rmtree(self.folder)

    def _command(self, log: Path | str) -> list[str]:
        files = ["-c", str(self._config_path), "-e", str(log)]
        return [target.find().nginx, "-p", str(self.folder), *files]

    def _environment(self) -> dict[str, str]:
        environment = {**os.environ, **self.config.environment()}
        preload = [str(path) for path in self.config.preload]
        if target.ASAN:
            preload.append(_libasan())
            environment["ASAN_OPTIONS"] = _asan_options(self.log.sanitizer)
        if preload:
            environment["LD_PRELOAD"] = ":".join(preload)
        return environment

    def _written_pid(self) -> int:
        """What is in nginx's pid file; 0 while there is none."""
        with suppress(OSError):
            return int((self.folder / "nginx.pid").read_text() or 0)
        return 0

    def _has_ended(self) -> bool:
        return self._nginx is None or self._nginx.poll() is not None

    # ---- processes

    @property
    def pid(self) -> int:
        assert self._nginx is not None, "the server was not started"
        return self._nginx.pid

    @property
    def worker(self) -> int:
        """The pid of the only worker."""
        (pid,) = self.workers()
        return pid

    def workers(self, master: int = 0) -> list[int]:
        """Workers that take connections, oldest first: of the server's master,
        if no other is named."""
        return [pid for pid in self._children(master) if _has_title(pid, "worker process")]

    def shutting_down(self) -> list[int]:
        """Workers that only finish what they have."""
        return [pid for pid in self._children() if _has_title(pid, "worker process is shutting")]

    def _children(self, master: int = 0) -> list[int]:
        master = master or self.pid
        return sorted(pid for pid, parent in process.parents().items() if parent == master)

    def started(self) -> set[int]:
        """Every process alive that nginx started, even one that fled from it."""
        return process.descendants(os.getpid()) - self.others

    def usage(self) -> Usage:
        """What the only worker holds now."""
        return Usage.of(self.worker)

    def _take_baseline(self) -> None:
        for pid in self.workers():
            with suppress(OSError):
                self.baseline.setdefault(pid, Usage.of(pid))

    # ---- client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port.number}"

    def get(self, path: str = "/", **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=DEADLINE, **options)

    def post(self, path: str = "/", data: bytes = b"", **options: Any) -> requests.Response:
        return requests.post(self.url + path, data=data, timeout=DEADLINE, **options)

    def values(self, path: str = "/") -> Values:
        """What the location's Lua returned."""
        response = self.get(path)
        assert response.status_code == 200, f"{response.status_code}\n{self.log.tail(20)}"
        return response.json()

    def kept(self, name: str) -> Values:
        """What Lua kept under this name, waiting for it."""
        # A response is true when it is no error.
        return wait_for(lambda: self.get(f"/kept/{name}")).json()

    def begin(self, path: str = "/") -> Future[Values]:
        """The same as values(), in a thread of its own."""
        return self._clients.submit(self.values, path)

    def submit(self, client: Callable[[Server], Values]) -> Future[Values]:
        """Calls client(server), in a thread of its own."""
        return self._clients.submit(client, self)

    def connect(self, path: str = "/") -> socket.socket:
        """A raw connection with a request on it; the caller closes it."""
        connection = socket.create_connection(("127.0.0.1", self._port.number), DEADLINE)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode())
        return connection

    # ---- health

    def expect_log(self, pattern: str) -> None:
        """A line with this pattern must be logged, and is not held against it."""
        self.expected_log.append(pattern)


def _has_title(pid: int, what: str) -> bool:
    title = process.title(pid)
    if what == "worker process":
        return title == "nginx: worker process"
    return title.startswith(f"nginx: {what}")


def _libasan() -> str:
    return subprocess.run(
        ["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()


def _asan_options(report: Path) -> str:
    # nginx and LuaJIT do not free what they hold at exit. Too large a wish is not
    # an error of the one who is told so. What stands between malloc() and the
    # sanitizer's comes before it.
    options = "detect_leaks=0:abort_on_error=0:exitcode=99:allocator_may_return_null=1"
    return f"{options}:verify_asan_link_order=0:log_path={report}"
