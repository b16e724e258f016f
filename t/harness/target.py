"""What is tested: which nginx, with which Lua module, and our own files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

MODULE = "ngx_http_lua_ffi_module.so"

ASAN = os.environ.get("RESTY_FFI_ASAN") == "1"
"""Run nginx with libasan preloaded: the module was built with it."""

_LUA_MODULES = ("ndk_http_module.so", "ngx_http_lua_module.so")


@dataclass(frozen=True)
class Target:
    nginx: str
    nginx_version: str
    lua_modules: tuple[Path, ...]
    """To be loaded, in order; empty where Lua is linked into nginx."""
    module: Path
    libdir: Path

    def loader_folders(self) -> list[Path]:
        """Where nginx must be told to look for loaders: nowhere, when they are
        installed beside the module."""
        return [self.libdir] if self.libdir != self.module.parent else []

    def report(self) -> list[str]:
        """The versions under test, for the head of pytest's report."""
        lua, luajit = _lua_versions(self)
        return [
            f"server: {self.nginx_version} ({self.nginx}), ngx_lua {lua}, {luajit}",
            f"module: {self.module}" + (", under AddressSanitizer" if ASAN else ""),
            f"python: {sys.version.split()[0]} ({sys.prefix})",
        ]


@lru_cache(maxsize=None)
def find() -> Target:
    """The server that the environment asks for, else the one installed.

    Raises RuntimeError, saying what to install, when there is none.
    """
    nginx = os.environ.get("NGINX_BIN") or shutil.which("openresty") or shutil.which("nginx")
    if not nginx:
        raise RuntimeError("no nginx: set NGINX_BIN, or install openresty or nginx")
    build = subprocess.run([nginx, "-V"], capture_output=True, text=True, check=True).stderr
    libdir = _libdir()
    return Target(
        nginx=nginx,
        nginx_version=build.splitlines()[0].partition(": ")[2],
        lua_modules=_lua_modules(build),
        module=Path(os.environ.get("RESTY_FFI_MODULE") or libdir / MODULE),
        libdir=libdir,
    )


def _lua_modules(build: str) -> tuple[Path, ...]:
    if re.search(r"--add-module=\S*(ngx_lua|lua-nginx-module)", build):
        return ()
    folder = re.search(r"--modules-path=(\S+)", build)
    found = tuple(Path(folder.group(1) if folder else "modules") / name for name in _LUA_MODULES)
    missing = [str(path) for path in found if not path.exists()]
    if missing:
        raise RuntimeError(f"no {', '.join(missing)}: install libnginx-mod-http-lua")
    return found


def _libdir() -> Path:
    if "RESTY_FFI_LIBDIR" in os.environ:
        return Path(os.environ["RESTY_FFI_LIBDIR"])
    # Asked of the command, as users do: importing the package here would let
    # the tests see a source folder that nginx does not.
    command = Path(sys.executable).with_name("resty-ffi")
    if command.exists():
        asked = subprocess.run([command, "libdir"], stdout=subprocess.PIPE, text=True, check=True)
        return Path(asked.stdout.strip())
    raise RuntimeError(f"no {command}: pip install . there, or set RESTY_FFI_LIBDIR")


# Ends before nginx opens anything: "nginx -t" would not run the Lua at all.
_VERSIONS = """
daemon off;
pid nginx.pid;
events {}
http {
    init_by_lua_block {
        io.stdout:write(ngx.config.ngx_lua_version, " ", jit.version)
        io.stdout:flush()
        os.exit(0)
    }
}
"""


def _lua_versions(target: Target) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nginx.conf"
        loads = "".join(f"load_module {path};\n" for path in target.lua_modules)
        config.write_text(loads + _VERSIONS)
        command = [target.nginx, "-p", folder, "-c", str(config), "-e", "stderr"]
        run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(f"{target.nginx} does not run Lua: {run.stderr}")
    number, luajit = int(run.stdout.split()[0]), run.stdout.partition(" ")[2]
    return f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}", luajit
