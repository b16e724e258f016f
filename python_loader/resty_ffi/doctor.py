"""resty-ffi doctor: what stands between this machine and a running module."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from ._build import LIBPYTHON, NGINX_VERSION, PYTHON_VERSION, VERSION
from .nginx import Nginx, NginxError
from .paths import LOADER, MODULE

_REBUILD = 'reinstall resty-ffi for it: see "Another nginx" in the README'


@dataclass(frozen=True)
class Finding:
    ok: bool
    what: str
    mend: str = ""

    def __str__(self) -> str:
        if self.ok:
            return f"ok    {self.what}"
        return f"FAIL  {self.what}\n      {self.mend}"


def main(nginx_path: str | None) -> int:
    """Prints all findings; 1 when something is wrong, else 0."""
    findings = [*_package(), *_python(), *_nginx(nginx_path)]

    for finding in findings:
        print(finding)
    for advice in _advice():
        print(f"note  {advice}")

    return 0 if all(finding.ok for finding in findings) else 1


def _package() -> Iterator[Finding]:
    yield Finding(True, f"resty-ffi {VERSION}")

    for path in (MODULE, LOADER):
        yield Finding(path.is_file(), str(path), "reinstall resty-ffi: this file is missing")


def _python() -> Iterator[Finding]:
    yield Finding(
        Path(LIBPYTHON).is_file(),
        f"libpython: {LIBPYTHON}",
        f"install Python {PYTHON_VERSION}'s shared library "
        f"(Debian: libpython{PYTHON_VERSION}), or reinstall resty-ffi",
    )

    python = os.environ.get("RESTY_FFI_PYTHON", sys.executable)
    version, error = _ask_python(python)
    yield Finding(
        version == PYTHON_VERSION,
        f"Python {version}: {python}" if version else f"Python: {error}",
        f"the loader was built for Python {PYTHON_VERSION}: "
        "install resty-ffi into an environment of that version",
    )


def _ask_python(python: str) -> tuple[str, str]:
    """The version of an interpreter that can import the package, or why not."""
    code = "import sys, resty_ffi; print('%d.%d' % sys.version_info[:2])"
    try:
        run = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        return "", str(error)
    if run.returncode != 0:
        return "", f"{python}: {(run.stderr.splitlines() or ['failed'])[-1]}"
    return run.stdout.strip(), ""


def _nginx(path: str | None) -> Iterator[Finding]:
    try:
        nginx = Nginx.find(path)
    except NginxError as error:
        yield Finding(False, str(error), "apt-get install nginx, or give --nginx PATH")
        return

    yield Finding(
        nginx.version == NGINX_VERSION,
        f"nginx {nginx.version}: {nginx.path}, the module was built for {NGINX_VERSION}",
        _REBUILD,
    )
    try:
        modules = nginx.lua_modules()
    except NginxError as error:
        yield Finding(False, f"Lua module: {error}", "apt-get install libnginx-mod-http-lua")
        return

    yield Finding(True, f"Lua module: {modules[-1] if modules else 'linked into nginx'}")
    yield _load(nginx, modules)


def _load(nginx: Nginx, modules: list[Path]) -> Finding:
    """Whether nginx takes the module: the proof of all that was guessed above."""
    with tempfile.TemporaryDirectory(prefix="resty-ffi-") as folder:
        conf = Path(folder, "nginx.conf")
        loads = "".join(f"load_module {path};\n" for path in [*modules, MODULE])
        paths = "".join(f"{line}\n" for line in nginx.temp_paths())
        conf.write_text(f"{loads}pid nginx.pid;\nevents {{}}\nhttp {{\n{paths}}}\n")
        run = subprocess.run(
            [nginx.path, "-t", "-q", "-p", folder, "-c", conf, "-e", "stderr"],
            capture_output=True,
            text=True,
        )

    if run.returncode == 0:
        return Finding(True, "nginx loads the module")
    mend = _REBUILD if nginx.has_compat() else f"build nginx --with-compat, or {_REBUILD}"
    return Finding(False, f"nginx does not load the module: {run.stderr.strip()}", mend)


def _advice() -> Iterator[str]:
    for name in ("PYTHONPATH", "RESTY_FFI_PYTHON"):
        if name in os.environ:
            yield (
                f"{name} is set here, but nginx clears its environment: "
                f'add "env {name};" at the top of nginx.conf'
            )

    for path in (LOADER, Path(LIBPYTHON)):
        closed = [folder for folder in path.parents if _is_closed(folder)]
        if closed:
            yield (
                f"{closed[-1]} is closed to other users: workers that nginx runs as one "
                f"cannot load {path.name}"
            )


def _is_closed(folder: Path) -> bool:
    return folder.is_dir() and not folder.stat().st_mode & stat.S_IXOTH
