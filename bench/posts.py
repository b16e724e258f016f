"""CPU time that a request costs when its body goes through one call."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
from pathlib import Path

from harness.server import Server

ROUNDS = 5

SECONDS = 2
"""Of one way in one round."""

CONNECTIONS = 64
SIZE = 512

GOAL = 1.25

_CALLS = {
    "C": 'ngx.load_ffi("echo")',
    "Rust": 'ngx.load_ffi("rust_apps", "echo")',
    "Go": 'ngx.load_ffi("go_apps", "echo")',
    "Node.js": 'ngx.load_ffi("ffi_nodejs", "echo,init,")',
    "Java": 'ngx.load_ffi("ffi_java", "Echo,init")',
    "Python": 'ngx.load_ffi("ffi_python3", "sync_echo,init")',
    "async": 'ngx.load_ffi("ffi_python3", "async_echo,init")',
}

WAYS = ("print", *_CALLS)

SCRIPT = """
wrk.method = "POST"
wrk.body = ("x"):rep(%d)

function done(summary, latency, requests)
    local errors = summary.errors
    print(errors.connect + errors.read + errors.write + errors.status + errors.timeout)
    print(summary.requests)
end
"""

_PRINT = """
    location = /post/print {
        content_by_lua_block {
            ngx.req.read_body()
            ngx.print(ngx.req.get_body_data())
        }
    }
"""

_CALL = """
    location = /post/%s {
        content_by_lua_block {
            ngx.req.read_body()
            local _, body = %s:echo(ngx.req.get_body_data())
            ngx.print(body)
        }
    }
"""

LOCATIONS = _PRINT + "".join(_CALL % way for way in _CALLS.items())

_TICKS = os.sysconf("SC_CLK_TCK")


def measure(server: Server) -> dict[str, float]:
    """Seconds of the worker, all of its threads, per request; in turns."""
    samples: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way in random.sample(WAYS, len(WAYS)):
            before = _cpu(server.worker)
            requests = _wrk(server, f"/post/{way}")
            samples[way].append((_cpu(server.worker) - before) / requests)
    return {way: statistics.median(values) for way, values in samples.items()}


def report(result: dict[str, float]) -> None:
    print(f"POST of {SIZE} B, {CONNECTIONS} connections: µs of CPU per request")
    for way in WAYS:
        ratio = result[way] / result["print"]
        goal = f"   (goal: {GOAL} at most)" if way == "Python" else ""
        print(f"{way:>8}{result[way] * 1e6:10.2f}{ratio:8.2f}{goal}")


def _wrk(server: Server, path: str) -> int:
    """How many requests were answered."""
    script = server.folder / "post.lua"
    script.write_text(SCRIPT % SIZE)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", script]
    run = subprocess.run([*command, server.url + path], capture_output=True, text=True, check=True)
    failed, requests = map(int, run.stdout.splitlines()[-2:])
    if failed:
        raise RuntimeError(f"{failed} requests of {path} failed:\n{server.log.tail()}")
    return requests


def _cpu(pid: int) -> float:
    """Seconds that all threads of a process have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
