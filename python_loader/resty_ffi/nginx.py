"""The nginx on this machine: which one, how it was built, what it loads."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Iterator

# Where packages put nginx though it is not on an ordinary user's PATH.
_SYSTEM_PATH = "/usr/local/openresty/bin:/usr/local/sbin:/usr/sbin:/sbin"

_LUA_MODULES = ("ndk_http_module", "ngx_http_lua_module")


class NginxError(Exception):
    """No usable nginx; the message says why."""


@dataclass(frozen=True)
class Nginx:
    path: Path
    version: str
    arguments: tuple[str, ...]
    """What its configure was called with."""

    @classmethod
    def find(cls, path: str | None = None) -> Nginx:
        """The given one, else $NGINX_BIN, else openresty, else nginx.

        Raises NginxError.
        """
        names = [name] if (name := path or os.environ.get("NGINX_BIN")) else ["openresty", "nginx"]
        search = os.environ.get("PATH", os.defpath) + ":" + _SYSTEM_PATH
        for name in names:
            found = shutil.which(name, path=search)
            if found:
                return cls._ask(Path(found).absolute())
        raise NginxError(f"no {' or '.join(names)} found")

    @classmethod
    def _ask(cls, path: Path) -> Nginx:
        try:
            run = subprocess.run([path, "-V"], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.SubprocessError) as error:
            raise NginxError(f"{path} -V failed: {error}") from None

        # An OpenResty's own version has a fourth number: nginx's are the first three.
        version = re.search(r"^nginx version: \S+/(\d+\.\d+\.\d+)", run.stderr, re.MULTILINE)
        arguments = re.search(r"^configure arguments:(.*)", run.stderr, re.MULTILINE)
        if not version or not arguments:
            raise NginxError(f"{path} is not an nginx")
        return cls(path, version.group(1), tuple(shlex.split(arguments.group(1))))

    def has_compat(self) -> bool:
        return "--with-compat" in self.arguments

    def has_linked(self, module: str) -> bool:
        """Whether the module is part of the executable."""
        return module.encode() in self.path.read_bytes()

    def lua_modules(self) -> list[Path]:
        """The modules that must be loaded for Lua; none if it is linked in.

        Raises NginxError when there is no Lua module.
        """
        if self.has_linked("ngx_http_lua_module"):
            return []

        found = [self.modules_path / f"{name}.so" for name in _LUA_MODULES]
        for path in found:
            if not path.is_file():
                raise NginxError(f"{path} is missing")
        return found

    def loaded_modules(self) -> set[str]:
        """File names of the modules that the installed nginx.conf loads."""
        return {
            Path(module).name
            for line in _lines(self.conf_path)
            for module in re.findall(r"^\s*load_module\s+[\"']?([^;\"']+)", line)
        }

    def temp_paths(self) -> list[str]:
        """http directives that keep temporary files in the folder given with -p."""
        optional = [
            name
            for name in ("proxy", "fastcgi", "uwsgi", "scgi")
            if f"--without-http_{name}_module" not in self.arguments
        ]
        return [f"{name}_temp_path {name}_temp;" for name in ("client_body", *optional)]

    @property
    def prefix(self) -> Path:
        return Path(self._argument("--prefix") or "/usr/local/nginx")

    @property
    def modules_path(self) -> Path:
        return self.prefix / (self._argument("--modules-path") or "modules")

    @property
    def conf_path(self) -> Path:
        return self.prefix / (self._argument("--conf-path") or "conf/nginx.conf")

    def _argument(self, name: str) -> str | None:
        for argument in self.arguments:
            if argument.startswith(name + "="):
                return argument.partition("=")[2]
        return None


def _lines(conf: Path) -> Iterator[str]:
    """The lines of a configuration file and of the files that it includes."""
    for line in _read(conf):
        yield line
        for pattern in re.findall(r"^\s*include\s+[\"']?([^;\"']+)", line):
            # Path.glob() takes no absolute pattern.
            for path in sorted(glob(str(conf.parent / pattern))):  # noqa: PTH207
                yield from _read(Path(path))


def _read(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
