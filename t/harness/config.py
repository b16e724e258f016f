"""nginx.conf of one server."""

from __future__ import annotations

import getpass
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Sequence

from . import target

TESTS = Path(__file__).parent.parent

BOTH_MODULES = ("lua", "ffi")


@dataclass
class Config:
    """What a test says about its server; all text is nginx configuration.

    lua is Lua: the body of location /, or of each location when it is a dict.
    What it returns becomes the answer, see Server.values().
    """

    lua: str | dict[str, str] = ""
    prelude: str = ""
    """Lua in front of each body."""
    server: str = ""
    http: str = ""
    main: str = ""
    events: str = "worker_connections 1024;"
    workers: int = 1
    daemon: bool = False
    code_cache: bool = True
    env: dict[str, str] = field(default_factory=dict)
    """Environment of nginx, kept for its workers."""
    modules: Sequence[str] = BOTH_MODULES
    """The order of the load_module lines; ("lua",) leaves ours out."""
    library_path: Sequence[Path] = ()
    preload: Sequence[Path] = ()
    """Libraries that are loaded into nginx before any other."""
    launcher: Sequence[str] = ()
    """A command that runs the command of its arguments, in its own place."""

    def render(self, folder: Path, port: int) -> str:
        return _dedent(f"""
            {self._load_modules()}
            user {getpass.getuser()};
            daemon {"on" if self.daemon else "off"};
            pid nginx.pid;
            error_log error.log info;
            worker_processes {self.workers};
            {"".join(f"env {name};" for name in self.environment())}
            {self.main}
            events {{
                {self.events}
            }}
            http {{
                access_log off;
                client_max_body_size 0;
                client_body_temp_path body;
                proxy_temp_path proxy;
                fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi;
                scgi_temp_path scgi;
                {self._http_lua(folder)}
                {self._http_ffi()}
                {self.http}
                server {{
                    listen 127.0.0.1:{port};
                    {self.server}
                    {self._locations()}
                }}
            }}
        """)

    def _load_modules(self) -> str:
        found = target.find()
        paths = {"lua": found.lua_modules, "ffi": (found.module,)}
        return "\n".join(f"load_module {path};" for name in self.modules for path in paths[name])

    def environment(self) -> dict[str, str]:
        paths = {"PYTHONPATH": "python", "NODE_PATH": "nodejs"}
        apps = {name: str(TESTS / "apps" / folder) for name, folder in paths.items()}
        # The JDK that the tests are run for.
        java = {name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ}
        return {**apps, **java, **self.env}

    def _http_lua(self, folder: Path) -> str:
        if "lua" not in self.modules:
            return ""
        return f"""
            lua_shared_dict kept 8m;
            lua_package_path "{folder}/?.lua;{TESTS}/lua/?.lua;;";
            lua_code_cache {"on" if self.code_cache else "off"};
        """

    def _http_ffi(self) -> str:
        if "ffi" not in self.modules or not self.library_path:
            return ""
        return f"lua_ffi_library_path {' '.join(map(str, self.library_path))};"

    def _locations(self) -> str:
        if "lua" not in self.modules:
            return ""
        bodies = {"/": self.lua} if isinstance(self.lua, str) else self.lua
        kept = _location("/kept/", 'require("harness").answer_kept()')
        return kept + "".join(
            _location(path, f'require("harness").answer(function() {self.prelude} {body}\nend)')
            for path, body in bodies.items()
            if body
        )


def _location(path: str, lua: str) -> str:
    return f"location {path} {{ content_by_lua_block {{ {lua} }} }}\n"


def _dedent(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return re.sub(r"\n\n+", "\n", "\n".join(lines)).lstrip()
