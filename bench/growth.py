"""What runtimes cost: time and memory of a load, of many that are idle, of more workers."""

from __future__ import annotations

import statistics
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Iterator

import posts
from harness.server import Server

MANY = {
    "C": 'ngx.load_ffi("echo", n)',
    "Go": 'ngx.load_ffi("go_apps", "echo:" .. n)',
    "Java": 'ngx.load_ffi("ffi_java", "Echo,init," .. n)',
    "Node.js": 'ngx.load_ffi("ffi_nodejs", "echo,init," .. n)',
    "Python": 'ngx.load_ffi("ffi_python3", "sync_echo,init," .. n)',
    "async": 'ngx.load_ffi("ffi_python3", "async_echo,init," .. n)',
}
"""Lua that loads the runtime number n; Rust's are what C's are."""

IDLE = (1, 10, 100, 1000)

AT_MOST = {"Node.js": 100}
"""Its runtimes take some 5 MiB each."""

WORKERS = (1, 2, 4, 8)

_LUA = {
    "/load": """
        ngx.update_time()
        local start = ngx.now()
        local ok, why = load(ngx.var.arg_n):echo("x")
        ngx.update_time()
        return ok and ngx.now() - start or error(why)
    """,
    "/reload": """
        ngx.update_time()
        local start = ngx.now()
        assert(load(ngx.var.arg_n):__reload())
        ngx.update_time()
        return ngx.now() - start
    """,
    "/fill": """
        for n = ngx.var.arg_from, ngx.var.arg_to do
            assert(load(tostring(n)):echo("x"))
        end
    """,
    "/time": """
        return require("bench").run(require("bench").runtime(load("1")), 16, 1)
    """,
}


@dataclass(frozen=True)
class Loading:
    """Seconds, call included."""

    first: float
    """What is the language's own, with it."""
    next: float
    reload: float


@dataclass(frozen=True)
class Idle:
    """A worker with so many runtimes."""

    resident_kib: int
    threads: int
    call: float
    """Seconds of a call of one of them."""


Start = Callable[..., Server]


@contextmanager
def _language(start: Start, way: str) -> Iterator[Server]:
    prelude = f"local function load(n) return assert({MANY[way]}) end "
    with start(prelude=prelude, lua=_LUA) as server:
        yield server


def measure(start: Start, rounds: int, most: int) -> dict[str, Any]:
    """start(**config) is a context manager of a server; most bounds IDLE."""
    return {
        "loading": {way: _loading(start, way, rounds) for way in MANY},
        "idle": {way: _idle(start, way, min(most, AT_MOST.get(way, most))) for way in MANY},
        "workers": {n: _workers(start, n) for n in WORKERS},
    }


def _loading(start: Start, way: str, rounds: int) -> Loading:
    samples = [_load_once(start, way) for _ in range(rounds)]
    return Loading(*(statistics.median(times) for times in zip(*samples)))


def _load_once(start: Start, way: str) -> tuple[float, float, float]:
    with _language(start, way) as server:
        paths = ("/load?n=1", "/load?n=2", "/reload?n=1")
        first, second, again = (server.values(path)[0] for path in paths)
    return first, second, again


def _idle(start: Start, way: str, most: int) -> dict[int, Idle]:
    found, loaded = {}, 0
    with _language(start, way) as server:
        for n in (n for n in IDLE if n <= most):
            server.values(f"/fill?from={loaded + 1}&to={n}")
            loaded = n
            usage, (call,) = server.usage(), server.values("/time")
            found[n] = Idle(usage.resident_kib, usage.threads, call)
    return found


def _workers(start: Start, workers: int) -> dict[str, posts.Cost]:
    with start(workers=workers, server=posts.locations(), lua="return 1") as server:
        return {way: posts.cost(server, way, posts.SMALL) for way in ("print", "C", "Python")}


def report(result: dict[str, Any]) -> None:
    print("ms of a load and its first call\n            first     next   reload")
    for way, loading in result["loading"].items():
        times = (loading.first, loading.next, loading.reload)
        print(f"{way:8}" + "".join(f"{seconds * 1e3:9.1f}" for seconds in times))

    print("\nIdle runtimes in a worker: MiB resident, threads, µs of a call")
    for way, idle in result["idle"].items():
        for n, one in idle.items():
            print(f"{way:8}{n:6}{one.resident_kib / 1024:9.1f}{one.threads:7}{one.call * 1e6:9.2f}")

    print("\nWorkers: requests/s, and µs of CPU of all of them per request")
    for n, costs in result["workers"].items():
        for way, cost in costs.items():
            print(f"{n:3} {way:8}{cost.per_second:9.0f}{cost.worker_cpu * 1e6:9.2f}")
