"""make bench: calls from Lua, and what they add to a request; see README.md."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

BENCH = Path(__file__).parent
APPS = BENCH / "apps"

sys.path.insert(0, str(BENCH.parent / "t"))

import calls  # noqa: E402
import metrics  # noqa: E402
import posts  # noqa: E402
from harness import go, java, rust  # noqa: E402
from harness.config import Config  # noqa: E402
from harness.server import Server  # noqa: E402
from harness.wait import wait_for  # noqa: E402

# Above ngx_lua's default, for the socket's benefit.
HTTP = "lua_socket_buffer_size 64k;"

LOCATIONS = posts.LOCATIONS
LUA = {"/calls": calls.LUA}


def main() -> None:
    with built() as libraries, started(libraries) as server:
        calls.report(calls.measure(server))
        print()
        posts.report(posts.measure(server))
        print()
        with started(libraries, http="lua_ffi_metrics off;") as other:
            metrics.report(metrics.measure(server, other))


@contextmanager
def built() -> Iterator[Path]:
    """The folder of the libraries."""
    with tempfile.TemporaryDirectory(prefix="resty-ffi-bench-") as folder:
        libraries = Path(folder)
        compile_echo(libraries)
        go.build_all(libraries)
        rust.build_all(libraries)
        java.build_apps(libraries / "java")
        yield libraries


@contextmanager
def started(libraries: Path, http: str = "") -> Iterator[Server]:
    config = Config(
        lua=LUA,
        http=HTTP + http,
        server=LOCATIONS,
        library_path=[libraries],
        env={"PYTHONPATH": str(APPS), "CLASSPATH": str(libraries / "java")},
    )
    server = Server(config)
    shutil.copy(BENCH / "bench.lua", server.folder)
    path = server.folder / "echo.sock"
    peer = subprocess.Popen([sys.executable, APPS / "socket_echo.py", path])
    try:
        wait_for(path.exists)
        server.start()
        yield server
    finally:
        server.close()
        server.remove()
        peer.terminate()
        peer.wait()


def compile_echo(folder: Path) -> None:
    flags = ["-O2", "-shared", "-fPIC", "-pthread", f"-I{BENCH.parent / 'include'}"]
    command = ["cc", *flags, APPS / "echo.c", "-o", folder / "libecho.so"]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
