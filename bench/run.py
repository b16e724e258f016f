"""make bench: calls to C and to Python against a socket to a Python server."""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, NamedTuple

BENCH = Path(__file__).parent

sys.path.insert(0, str(BENCH.parent / "t"))

from harness.config import Config  # noqa: E402
from harness.server import Server  # noqa: E402
from harness.wait import wait_for  # noqa: E402

WAYS = ("c", "python", "socket")

ROUNDS = 5


class Load(NamedTuple):
    name: str
    size: int
    threads: int = 1


LOADS = (
    Load("16 B", 16),
    Load("1 KiB", 1 << 10),
    Load("16 KiB", 1 << 14),
    Load("256 KiB", 1 << 18),
    Load("1 MiB", 1 << 20),
    Load("16 B, 64 at once", 16, threads=64),
)

LUA = """
    local arg = ngx.req.get_uri_args()
    return require("bench").run(arg.way, tonumber(arg.size), tonumber(arg.threads))
"""

# Above ngx_lua's default, for the socket's benefit.
HTTP = "lua_socket_buffer_size 64k;"


def main() -> None:
    with started() as server:
        print_table(measure(server))


@contextmanager
def started() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="resty-ffi-bench-") as libraries:
        compile_echo(Path(libraries))
        config = Config(
            lua={"/run": LUA},
            http=HTTP,
            library_path=[Path(libraries)],
            env={"PYTHONPATH": str(BENCH)},
        )
        server = Server(config)
        shutil.copy(BENCH / "bench.lua", server.folder)
        path = server.folder / "echo.sock"
        peer = subprocess.Popen([sys.executable, BENCH / "echo.py", path])
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
    command = ["cc", *flags, BENCH / "echo.c", "-o", folder / "libecho.so"]
    subprocess.run(command, check=True)


def measure(server: Server) -> dict[tuple[str, Load], float]:
    """Seconds per call: of each load, the ways take turns in each round, so that
    what else the machine does falls on all of them; the median counts."""
    samples: dict[tuple[str, Load], list[float]] = {}

    for _ in range(ROUNDS):
        for load in LOADS:
            for way in random.sample(WAYS, len(WAYS)):
                path = f"/run?way={way}&size={load.size}&threads={load.threads}"
                samples.setdefault((way, load), []).extend(server.values(path))

    return {key: statistics.median(values) for key, values in samples.items()}


def print_table(result: dict[tuple[str, Load], float]) -> None:
    print(f"{'µs per call':18}{'C':>10}{'Python':>10}{'socket':>10}{'C':>14}{'Python':>10}")

    for load in LOADS:
        c, python, socket = (result[way, load] * 1e6 for way in WAYS)
        print(
            f"{load.name:18}{c:10.2f}{python:10.2f}{socket:10.2f}"
            f"{f'{socket / c:.1f}x faster':>14}{f'{socket / python:.1f}x':>10}"
        )


if __name__ == "__main__":
    main()
