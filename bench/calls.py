"""Seconds that a call takes, from Lua and back."""

from __future__ import annotations

import random
import statistics
from typing import Dict, NamedTuple, Tuple

from harness.server import Server

WAYS = ("C", "Rust", "Go", "Node.js", "Java", "Python", "async", "cffi", "socket")

ROUNDS = 5


class Load(NamedTuple):
    name: str
    size: int
    threads: int = 1


LOADS = (
    Load("16 B", 16),
    Load("1 KiB", 1 << 10),
    Load("16 KiB", 1 << 14),
    Load("100 KiB", 100 << 10),
    Load("1 MiB", 1 << 20),
    Load("16 B, 64 at once", 16, threads=64),
)

BUSY = LOADS[-1]

LUA = """
    local arg = ngx.req.get_uri_args()
    return require("bench").run(arg.way, tonumber(arg.size), tonumber(arg.threads))
"""


class Goal(NamedTuple):
    """How many calls of one way there should be for each of another."""

    way: str
    than: str
    ratio: float
    note: str = ""


GOALS = (
    Goal("Rust", "C", 0.8),
    Goal("Go", "C", 0.3),
    Goal("Node.js", "C", 0.25),
    Goal("Java", "C", 0.35),
    Goal("Python", "C", 0.6),
    Goal("Python", "cffi", 4.0),
    Goal("async", "C", 0.15, "0.3 from Python 3.12 on"),
)

Result = Dict[Tuple[str, Load], float]


def measure(server: Server) -> Result:
    """Of each load, the ways take turns in each round, so that what else the
    machine does falls on all of them; the median counts."""
    samples: dict[tuple[str, Load], list[float]] = {}
    for _ in range(ROUNDS):
        for load in LOADS:
            for way in random.sample(WAYS, len(WAYS)):
                path = f"/calls?way={way}&size={load.size}&threads={load.threads}"
                samples.setdefault((way, load), []).extend(server.values(path))
    return {key: statistics.median(values) for key, values in samples.items()}


def report(result: Result) -> None:
    print(f"{'µs per call':18}" + "".join(f"{way:>10}" for way in WAYS))
    for load in LOADS:
        print(f"{load.name:18}" + "".join(f"{result[way, load] * 1e6:10.2f}" for way in WAYS))

    print(f"\nCalls per second, {BUSY.name}")
    for goal in GOALS:
        ratio = result[goal.than, BUSY] / result[goal.way, BUSY]
        note = f"; {goal.note}" if goal.note else ""
        print(f"{goal.way:>8} / {goal.than:8}{ratio:6.2f}   (goal: {goal.ratio}{note})")
