"""Java classes that a test writes, and an nginx that runs them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from textwrap import dedent
from typing import Sequence

from . import target
from .config import TESTS
from .once import once
from .python import Python

APPS = TESTS / "apps" / "java"

_JAVAC = [
    "--release", "17", "-g", "-proc:none", "-Xlint:-options",
    "-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-J-Xshare:auto",
]  # fmt: skip

FLAT_OPTS = "-Xms24m -Xmx24m -XX:+AlwaysPreTouch -XX:MetaspaceSize=8m -Xint"
"""JAVA_OPTS of a VM that has from the start what it would grow into; -Xint, as compiled
code comes later."""

_IMPORTS = "import java.util.*; import resty.ffi.*;"


def tool(name: str) -> str:
    """A command of the JDK: of JAVA_HOME, else of the PATH."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / name) if home else name


def jar() -> Path:
    return target.find().libdir / "resty-ffi.jar"


def compile_into(folder: Path, sources: Sequence[Path], class_path: str = "") -> None:
    """Raises CalledProcessError; the compiler has said why on standard error."""
    path = f"{jar()}:{class_path}"
    command = [tool("javac"), *_JAVAC, "-cp", path, "-d", str(folder), *map(str, sources)]
    subprocess.run(command, check=True)


def pack(path: Path, folder: Path) -> Path:
    """A jar of the folder, put in place of what is there at once."""
    new = path.with_suffix(".new")
    subprocess.run([tool("jar"), "-cf", str(new), "-C", str(folder), "."], check=True)
    return new.rename(path)


def build_apps(folder: Path) -> Path:
    """Compiles t/apps/java into folder, unless another process of this session
    already did, and returns folder."""
    once(folder, "java", lambda: compile_into(folder, sorted(APPS.glob("*.java"))))
    return folder


class Java(Python):
    """A folder of sources, its folder classes, which is the CLASSPATH, and an
    nginx, started when it is needed."""

    library = "ffi_java"
    path_variable = "CLASSPATH"

    @property
    def classes(self) -> Path:
        return self.folder / "classes"

    @property
    def search_path(self) -> str:
        return str(self.classes)

    def write(self, name: str, source: str = "") -> Path:
        """Of the class of that name, compiled at once; what it imports from
        java.util and resty.ffi is there."""
        package, _, plain = name.rpartition(".")
        heading = f"package {package};" if package else ""
        path = self.folder / "sources" / f"{name}.d" / f"{plain}.java"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{heading} {_IMPORTS}\n{dedent(source)}")
        compile_into(self.classes, [path], str(self.classes))
        return path

    def write_app(self, name: str, source: str) -> Path:
        """The body of its handler, which has the request and, in the static
        field cfg, the configuration; the entry method is init."""
        plain = name.rpartition(".")[2]
        return self.write(
            name,
            f"""
            public class {plain} implements Handler {{
                static String cfg;
                public static int init(String cfg, long tq) {{
                    {plain}.cfg = cfg;
                    return RestyFfi.serve(tq, new {plain}());
                }}
                static byte[] bytes(Object value) {{ return value.toString().getBytes(); }}
                public byte[] handle(Request request) throws Exception {{ {dedent(source)} }}
            }}
            """,
        )
