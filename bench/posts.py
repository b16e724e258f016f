"""What a request costs that posts a body and is answered with it: CPU time and latency."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Iterable

import peers
import ways
from harness.server import Server

SECONDS = 2
"""Of one way in one round."""

CONNECTIONS = 64

GOAL = 1.25
"""Worker's CPU time of a POST of 512 B through Python, by that of print."""

SIZES = {"512 B": 512, "64 KiB": 64 << 10}

SMALL = "512 B"

WAYS = ("print", *ways.RUNTIMES, "thread", *peers.HTTP)


@dataclass(frozen=True)
class Cost:
    """Of one request; in seconds, but for the first."""

    per_second: float
    worker_cpu: float
    """All threads of all workers."""
    total_cpu: float
    """The workers' and that of the server behind them."""
    p50: float
    p99: float
    p999: float


_SCRIPT = """
wrk.method = "POST"
wrk.body = ("x"):rep(%d)

function done(summary, latency, requests)
    local errors = summary.errors
    print(errors.connect + errors.read + errors.write + errors.status + errors.timeout)
    print(summary.requests)
    for _, percentile in ipairs({50, 99, 99.9}) do
        print(latency:percentile(percentile))
    end
end
"""

_LUA = """
    location = /post/%s {
        content_by_lua_block {
            ngx.req.read_body()
            local body = ngx.req.get_body_data()
            %s
            ngx.print(body)
        }
    }
"""

_PROXY = """
    location = /post/%s {
        proxy_pass http://%s;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
    }
"""

HTTP = """
    client_body_buffer_size 128k;
    keepalive_requests 100000000;
"""


def locations() -> str:
    """nginx.conf, level server."""
    calls = {way: f"_, body = {load}:echo(body)" for way, load in ways.RUNTIMES.items()}
    calls["thread"] = f"_, body = {ways.THREAD.format('body')}"
    lua = {"print": "", **{way: f"local _\n{call}" for way, call in calls.items()}}
    return "".join(_LUA % pair for pair in lua.items())


def proxies() -> str:
    """The same, for what needs peers.upstreams()."""
    return "".join(_PROXY % (name, name) for name in peers.HTTP)


def measure(server: Server, behind: dict[str, int], rounds: int) -> dict[tuple[str, str], Cost]:
    """By way and size; in turns. behind has the pids of the peers."""
    samples: dict[tuple[str, str], list[Cost]] = {}
    for _ in range(rounds):
        for size in SIZES:
            for way in random.sample(WAYS, len(WAYS)):
                pids = peers.pids(behind[way]) if way in behind else set()
                samples.setdefault((way, size), []).append(cost(server, way, size, pids))
    return {(way, size): _median(samples[way, size]) for size in SIZES for way in WAYS}


def _median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(values) for values in zip(*map(astuple, costs))))


def cost(server: Server, way: str, size: str, others: Iterable[int] = ()) -> Cost:
    """From one run of wrk; others are the processes behind the workers."""
    workers = server.workers()
    before, others_before = _cpu(workers), _cpu(others)
    requests, *latencies = _wrk(server, f"/post/{way}", SIZES[size])
    worker, behind = _cpu(workers) - before, _cpu(others) - others_before
    p50, p99, p999 = (microseconds / 1e6 for microseconds in latencies)
    return Cost(requests / SECONDS, worker / requests, (worker + behind) / requests, p50, p99, p999)


def report(result: dict[tuple[str, str], Cost]) -> None:
    for size in SIZES:
        print(f"POST of {size}, {CONNECTIONS} connections; CPU and latency in µs")
        print(
            f"{'':9}{'requests/s':>11}{'worker CPU':>12}{'/ print':>9}"
            f"{'total CPU':>11}{'p50':>9}{'p99':>9}{'p99.9':>9}"
        )
        for way in WAYS:
            cost = result[way, size]
            ratio = cost.worker_cpu / result["print", size].worker_cpu
            goal = f"   (goal: {GOAL})" if (way, size) == ("Python", SMALL) else ""
            print(
                f"{way:9}{cost.per_second:11.0f}{cost.worker_cpu * 1e6:12.2f}{ratio:9.2f}"
                f"{cost.total_cpu * 1e6:11.2f}{cost.p50 * 1e6:9.0f}{cost.p99 * 1e6:9.0f}"
                f"{cost.p999 * 1e6:9.0f}{goal}"
            )
        print()


def _wrk(server: Server, path: str, size: int) -> list[float]:
    """How many requests were answered, and the percentiles in microseconds."""
    script = server.folder / "post.lua"
    script.write_text(_SCRIPT % size)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", script]
    run = subprocess.run([*command, server.url + path], capture_output=True, text=True, check=True)
    failed, *figures = map(float, run.stdout.splitlines()[-5:])
    if failed:
        raise RuntimeError(f"{failed:.0f} requests of {path} failed:\n{server.log.tail()}")
    return figures


_TICKS = os.sysconf("SC_CLK_TCK")


def _cpu(pids: Iterable[int]) -> float:
    """Seconds that all threads of these processes have used."""
    return sum(sum(_times(pid)) for pid in pids)


def _times(pid: int) -> tuple[float, float]:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / _TICKS, int(fields[12]) / _TICKS
