"""An nginx of one's own that answers HTTP with a Python handler."""

from __future__ import annotations

import ctypes
import getpass
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Mapping

from .nginx import Nginx, NginxError
from .paths import LIBDIR, LUADIR, MODULE

START_DEADLINE = 60.0
STOP_DEADLINE = 40.0
_POLL = 0.02

_PORT_TRIES = 5

_PR_SET_PDEATHSIG = 1

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
    client_max_body_size 0;
    lua_package_path '{lua_dir}/?.lua;;';
    lua_shared_dict resty_ffi 64k;
    init_by_lua_block {{ require("resty.ffi.http").init({cfg}) }}
    {http}

    server {{
        listen {host}:{port};
        {server}
        location / {{ content_by_lua_block {{ require("resty.ffi.http").content() }} }}
    }}

    server {{
        listen unix:{folder}/control;
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
    serve() takes, or what serve() returned. http, server: more configuration
    for these blocks. env: more environment for the handler. error_log: a file,
    or "stderr".
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
        error_log: str = "error.log",
        nginx: str | None = None,
    ) -> None:
        """port 0: one that is free."""
        module, colon, name = handler.partition(":")
        if not colon or not module or not name:
            raise ServerError(f'"{handler}" names no handler: write module:name')
        self._cfg = f"{(folder or Path.cwd()).absolute()}/{module}?,{name},{cfg}"
        self._nginx = Nginx.find(nginx)
        self._wanted_port = port
        self._host = host
        self._workers = workers
        self._http = http
        self._server = server
        self._env = dict(env or {})
        self._error_log = error_log
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.folder = Path(tempfile.mkdtemp(prefix="resty-ffi-"))

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.port}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """nginx's master; its stderr is a pipe when error_log is "stderr"."""
        if self._process is None:
            raise ServerError("it is not started")
        return self._process

    def start(self) -> None:
        """Returns when nginx answers. Raises ServerError and NginxError."""
        for _ in range(_PORT_TRIES):
            self.port = self._wanted_port or _free_port(self._host)
            self._launch()
            if self._is_up():
                return
            why = self._complaint()
            # Another process took the port meanwhile.
            if self._wanted_port or "Address already in use" not in why:
                break
        raise ServerError(why)

    def check(self) -> str | None:
        """Loads the handler, unless it is: None, or why it does not load."""
        return self._control("/check")

    def reload(self) -> str | None:
        """Loads the handler's code afresh and lets it serve: None, or why the
        old code serves on. No request is lost."""
        return self._control("/reload")

    def stop(self) -> None:
        """Ends nginx, after the requests in flight, and removes its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(STOP_DEADLINE)
            except subprocess.TimeoutExpired:
                self._process.terminate()
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """What error.log has, when it is a file."""
        path = self.folder / self._error_log
        return path.read_text(errors="replace") if path.exists() else ""

    def _launch(self) -> None:
        conf = self.folder / "nginx.conf"
        conf.write_text(self._render())
        log = "stderr" if self._error_log == "stderr" else str(self.folder / self._error_log)
        self._process = subprocess.Popen(
            [str(self._nginx.path), "-p", f"{self.folder}/", "-c", str(conf), "-e", log],
            env={**os.environ, **self._env},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE if log == "stderr" else subprocess.DEVNULL,
            # nginx ends when this process does, however that ends.
            preexec_fn=_die_with_parent,
            start_new_session=True,
        )

    def _render(self) -> str:
        loaded = [*self._nginx.lua_modules(), MODULE]
        library_path = "" if MODULE.parent == LIBDIR else f"lua_ffi_library_path {LIBDIR};"
        return _CONF.format(
            load_modules="\n".join(f"load_module {path};" for path in loaded),
            # An ordinary user's nginx runs as that user anyway, and warns.
            user=f"user {getpass.getuser()};" if os.geteuid() == 0 else "",
            env="\n".join(f"env {name};" for name in _environment(self._env)),
            error_log=self._error_log,
            workers=self._workers,
            temp_paths=" ".join(self._nginx.temp_paths()),
            lua_dir=LUADIR,
            cfg=_lua_string(self._cfg),
            http=f"{library_path}\n{self._http}",
            folder=self.folder,
            host=self._host,
            port=self.port,
            server=self._server,
        )

    def _is_up(self) -> bool:
        deadline = time.monotonic() + START_DEADLINE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                # Its own socket: another server may be on the port.
                self._connect().close()
            except OSError:
                time.sleep(_POLL)
            else:
                return True
        return False

    def _complaint(self) -> str:
        # Its workers, too, which have the other end of the pipe.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        pipe = self.process.stderr
        text = pipe.read().decode(errors="replace") if pipe else self.log()
        found = re.findall(r"\[(?:emerg|alert)\] \S+ (.*)", text)
        return found[0] if found else text.strip() or "nginx does not start"

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self.folder / "control"))
        except BaseException:
            connection.close()
            raise
        return connection

    def _control(self, path: str) -> str | None:
        request = http.client.HTTPConnection("control")
        request.sock = self._connect()
        try:
            request.request("POST", path)
            response = request.getresponse()
            text = response.read().decode(errors="replace").strip()
        finally:
            request.close()
        return None if response.status == 200 else text or f"HTTP {response.status}"


def _environment(names: Mapping[str, str]) -> list[str]:
    """What nginx hands on to its workers."""
    wanted = ("PATH", "HOME", "LANG", "PYTHONPATH", "RESTY_FFI_PYTHON", "VIRTUAL_ENV")
    return [*wanted, *(name for name in names if name not in wanted)]


def _lua_string(text: str) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in os.fsencode(text)) + '"'


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


__all__ = ["NginxError", "Server", "ServerError"]
