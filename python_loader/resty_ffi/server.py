"""An nginx of one's own that answers HTTP with a Python handler."""

from __future__ import annotations

import http.client
import os
import pwd
import re
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import IO, Mapping

from .nginx import Nginx, NginxError
from .paths import LIBDIR, LUADIR, MODULE
from .process import Process

# Seconds.
START_DEADLINE = 60.0
STOP_DEADLINE = 40.0
_KILL_DEADLINE = 5.0
_POLL = 0.02

_LOAD_DEADLINE = 150.0
"""One worker loads the code first, then the others do: a minute each."""

_PORT_TRIES = 5

_BODY_MAX = 1 << 30
"""A worker has a whole body in Lua's memory."""

_CONF = """\
{load_modules}
{user}
{env}
daemon off;
pid nginx.pid;
error_log {error_log} info;
worker_processes {workers};
events {{ worker_connections 1024; }}

http {{
    access_log off;
    {temp_paths}
    client_max_body_size {max_body};
    lua_package_path '{lua_dir}/?.lua;;';
    lua_shared_dict resty_ffi 1m;
    init_by_lua_block {{ require("resty.ffi.http").init({path}, {cfg}) }}
    init_worker_by_lua_block {{ require("resty.ffi.http").start() }}
    {http}

    server {{
        listen {address};
        {server}
        location / {{ content_by_lua_block {{ require("resty.ffi.http").content() }} }}
    }}

    server {{
        listen unix:{folder}/control;
        location = /up {{ return 204; }}
        location = /check {{ content_by_lua_block {{ require("resty.ffi.http").check() }} }}
        location = /reload {{ content_by_lua_block {{ require("resty.ffi.http").reload() }} }}
    }}
}}
"""


class ServerError(Exception):
    """nginx or the handler does not start; the message says why."""


class Server:
    """A process, with what it needs in a folder of its own that only its user
    can enter. Not thread-safe; all methods block.

    handler: "module:name", the module in the folder; name is anything that
    serve() takes, or what serve() returned. port 0: one that is free. http,
    server: more configuration for these blocks, without init_by_lua and
    init_worker_by_lua. env: more environment for the handler. max_body: how
    long a request's body may be, as nginx writes it: bytes, 512k, 64m, 1g at
    most; a longer one is answered 413. error_log: a file, or "stderr".
    """

    def __init__(
        self,
        handler: str,
        *,
        folder: Path | None = None,
        cfg: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
        workers: int = 1,
        http: str = "",
        server: str = "",
        env: Mapping[str, str] | None = None,
        max_body: str = "64m",
        error_log: str = "error.log",
        nginx: str | None = None,
    ) -> None:
        """Raises ServerError and NginxError."""
        module, colon, name = handler.partition(":")
        if not colon or not module or not name:
            raise ServerError(f'"{handler}" names no handler: write module:name')
        if workers < 1:
            raise ServerError(f"{workers} workers cannot serve: it takes 1 or more")
        self._path = (folder or Path.cwd()).absolute()
        self._cfg = f"{module}?,{name},{cfg}"
        self._nginx = Nginx.find(nginx)
        self._wanted_port = port
        self._host = host
        self._workers = workers
        self._http = http
        self._server = server
        self._env = dict(env or {})
        self._max_body = _size(max_body)
        self._error_log = error_log
        self._process: Process | None = None
        self._folder: Path | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://{self._address}"

    @property
    def folder(self) -> Path:
        """While it is started."""
        if self._folder is None:
            raise ServerError("it is not started")
        return self._folder

    @property
    def pid(self) -> int:
        """Of nginx's master."""
        return self._master.pid

    @property
    def exit_code(self) -> int | None:
        """nginx's; None while it runs."""
        return self._master.exit_code

    @property
    def stderr(self) -> IO[bytes] | None:
        """A pipe, when error_log is "stderr"."""
        return self._master.stderr

    def start(self) -> None:
        """Returns when nginx answers. Raises ServerError and NginxError, and
        leaves nothing behind then."""
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="resty-ffi-"))
            self._start()
        except OSError as error:
            self.stop(now=True)
            raise ServerError(f"nginx does not start: {error}") from error
        except BaseException:
            self.stop(now=True)
            raise

    def check(self) -> str | None:
        """Has the handler loaded by every worker, unless it is: None, or why
        it does not load."""
        return self._control("/check")

    def reload(self) -> str | None:
        """Loads the handler's code afresh: None when every worker serves it, or
        why not. No request is lost: the old code serves until then, and on when
        the new does not load."""
        return self._control("/reload")

    def stop(self, *, now: bool = False) -> None:
        """Ends nginx, after the requests in flight unless now, and removes its
        folder."""
        if self._process is not None and now:
            self._process.end(signal.SIGTERM, _KILL_DEADLINE)
        elif self._process is not None:
            self._process.end(signal.SIGQUIT, STOP_DEADLINE)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def log(self) -> str:
        """What error.log has, when it is a file."""
        path = self.folder / self._error_log
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def _master(self) -> Process:
        if self._process is None:
            raise ServerError("it is not started")
        return self._process

    @property
    def _address(self) -> str:
        return f"[{self._host}]:{self.port}" if ":" in self._host else f"{self._host}:{self.port}"

    def _start(self) -> None:
        for _ in range(_PORT_TRIES):
            self.port = _free_port(self._host, self._wanted_port)
            self._launch()
            if self._is_up():
                return
            why = self._complaint()
            # Another process took the port meanwhile.
            if self._wanted_port or "Address already in use" not in why:
                break
        raise ServerError(why)

    def _launch(self) -> None:
        conf = self.folder / "nginx.conf"
        conf.write_text(self._render())
        to_stderr = self._error_log == "stderr"
        log = "stderr" if to_stderr else str(self.folder / self._error_log)
        command = [str(self._nginx.path), "-p", f"{self.folder}/", "-c", str(conf), "-e", log]
        self._process = Process(command, {**os.environ, **self._env}, has_pipe=to_stderr)
        self._process.start()

    def _render(self) -> str:
        loaded = [*self._nginx.lua_modules(), MODULE]
        library_path = "" if MODULE.parent == LIBDIR else f"lua_ffi_library_path {LIBDIR};"
        return _CONF.format(
            load_modules="\n".join(f"load_module {path};" for path in loaded),
            # An ordinary user's nginx runs as that user anyway, and warns.
            user=f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else "",
            env="\n".join(f"env {name};" for name in _environment(self._env)),
            error_log=self._error_log,
            workers=self._workers,
            temp_paths=" ".join(self._nginx.temp_paths()),
            lua_dir=LUADIR,
            path=_lua_string(str(self._path)),
            cfg=_lua_string(self._cfg),
            http=f"{library_path}\n{self._http}",
            folder=self.folder,
            address=self._address,
            max_body=self._max_body,
            server=self._server,
        )

    def _is_up(self) -> bool:
        """Whether it answers, on its own socket: another server may be on the
        port. That takes connections long before, and even if nginx gives up."""
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline and self.exit_code is None:
            try:
                self._ask("/up", deadline - time.monotonic())
            except (OSError, http.client.HTTPException):
                time.sleep(_POLL)
            else:
                return True
        return False

    def _complaint(self) -> str:
        self._master.end(signal.SIGTERM, _KILL_DEADLINE)
        text = self.stderr.read().decode(errors="replace") if self.stderr else self.log()
        found = re.findall(r"\[(?:emerg|alert)\] \S+ (.*)", text) or text.strip().splitlines()
        return found[0] if found else "nginx does not start"

    def _control(self, path: str) -> str | None:
        try:
            status, text = self._ask(path, _LOAD_DEADLINE)
        except socket.timeout:
            return f"nginx does not answer within {_LOAD_DEADLINE:.0f} s"
        except (OSError, http.client.HTTPException):
            return "the worker of nginx that was to load it has ended"
        return None if status == 200 else text or f"HTTP {status}"

    def _ask(self, path: str, seconds: float) -> tuple[int, str]:
        """Asks the control socket. Raises OSError and HTTPException."""
        request = http.client.HTTPConnection("control")
        request.sock = socket.socket(socket.AF_UNIX)
        try:
            request.sock.settimeout(seconds)
            request.sock.connect(str(self.folder / "control"))
            request.request("POST", path)
            response = request.getresponse()
            return response.status, response.read().decode(errors="replace").strip()
        finally:
            request.close()


def _environment(names: Mapping[str, str]) -> list[str]:
    """What nginx hands on to its workers."""
    wanted = ("PATH", "HOME", "LANG", "PYTHONPATH", "RESTY_FFI_PYTHON", "VIRTUAL_ENV")
    return [*wanted, *(name for name in names if name not in wanted)]


def _lua_string(text: str) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in os.fsencode(text)) + '"'


def _size(text: str) -> str:
    found = re.fullmatch(r"(\d+)([kmg]?)", text.lower())
    number = int(found[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[found[2]] if found else 0
    if not 0 < number <= _BODY_MAX:
        raise ServerError(f'"{text}" is no size of a body: 512k, 64m, 1g at most')
    return text


def _free_port(host: str, wanted: int) -> int:
    """The wanted port, or one for 0. Raises ServerError when it is not free."""
    try:
        if not 0 <= wanted <= 65535:
            raise ServerError(f"there is no port {wanted}: ports are 0 to 65535")
        found = socket.getaddrinfo(host, wanted, type=socket.SOCK_STREAM)[0]
        with socket.socket(*found[:3]) as probe:
            # As nginx does: connections that have just ended do no harm.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[4])
            port: int = probe.getsockname()[1]
            return port
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ServerError(f"cannot listen on {host}, port {wanted}: {why}") from error


__all__ = ["NginxError", "Server", "ServerError"]
