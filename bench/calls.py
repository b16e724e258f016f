"""Seconds that a call takes, from Lua and back."""

from __future__ import annotations

import random
import statistics
from pathlib import Path
from typing import Dict, NamedTuple, Tuple

import peers
import ways
from harness.server import Server


class Load(NamedTuple):
    name: str
    size: int
    threads: int = 1


SIZES = (
    Load("16 B", 16),
    Load("1 KiB", 1 << 10),
    Load("16 KiB", 1 << 14),
    Load("100 KiB", 100 << 10),
    Load("1 MiB", 1 << 20),
)

CROWDS = tuple(Load(f"{n:,} at once", 16, threads=n) for n in (2, 4, 16, 64, 256, 1024))

LOADS = SIZES + CROWDS

BUSY = next(load for load in LOADS if load.threads == 64)


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

WAYS = (*ways.RUNTIMES, "cffi", "thread", peers.SOCKET)

Result = Dict[Tuple[str, Load], float]


def lua(folder: Path) -> str:
    """The body of location /calls; peers listen in folder."""
    connects = {name: f"runtime({load})" for name, load in ways.RUNTIMES.items()}
    connects["cffi"] = f"runtime({ways.CFFI})"
    connects["thread"] = f"thread(function(r) return {ways.THREAD.format('r')} end)"
    connects[peers.SOCKET] = f'socket("{peers.path(folder, peers.SOCKET)}")'
    table = ",\n".join(
        f'["{way}"] = function() return bench.{connect} end' for way, connect in connects.items()
    )
    return f"""
        local bench = require("bench")
        local ways = {{ {table} }}
        local arg = ngx.req.get_uri_args()
        return bench.run(ways[arg.way](), tonumber(arg.size), tonumber(arg.threads))
    """


def measure(server: Server, rounds: int) -> Result:
    """Of each load, the ways take turns in each round, so that what else the
    machine does falls on all of them; the median counts."""
    samples: dict[tuple[str, Load], list[float]] = {}
    for _ in range(rounds):
        for load in LOADS:
            for way in random.sample(WAYS, len(WAYS)):
                path = f"/calls?way={way}&size={load.size}&threads={load.threads}"
                samples.setdefault((way, load), []).extend(server.values(path))
    return {(way, load): statistics.median(samples[way, load]) for way in WAYS for load in LOADS}


def report(result: Result) -> None:
    for loads, title in ((SIZES, "one after the other"), (CROWDS, "16 B")):
        print(f"µs per call, {title}")
        print(" " * 14 + "".join(f"{way:>9}" for way in WAYS))
        for load in loads:
            times = "".join(f"{result[way, load] * 1e6:9.2f}" for way in WAYS)
            print(f"{load.name:14}{times}")
        print()

    print(f"Calls per second, 16 B, {BUSY.name}")
    for goal in GOALS:
        ratio = result[goal.than, BUSY] / result[goal.way, BUSY]
        note = f"; {goal.note}" if goal.note else ""
        print(f"{goal.way:>8} / {goal.than:8}{ratio:6.2f}   (goal: {goal.ratio}{note})")
