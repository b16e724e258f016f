"""What metrics cost: the same calls in an nginx that counts and in one that does not."""

from __future__ import annotations

import random
import statistics
from typing import Dict, Tuple

from calls import BUSY
from harness.server import Server

WAYS = ("C", "Python")

GOAL = 1.03

Result = Dict[Tuple[str, bool], float]


def measure(counting: Server, other: Server, rounds: int) -> Result:
    """The two take turns, each way in each round; the median counts."""
    servers = {True: counting, False: other}
    samples: dict[tuple[str, bool], list[float]] = {}
    for _ in range(rounds):
        for way in WAYS:
            path = f"/calls?way={way}&size={BUSY.size}&threads={BUSY.threads}"
            for on in random.sample((True, False), 2):
                samples.setdefault((way, on), []).extend(servers[on].values(path))
    return {key: statistics.median(values) for key, values in samples.items()}


def report(result: Result) -> None:
    print(f"{'µs per call, ' + BUSY.name:32}{'off':>8}{'on':>8}   on / off")
    for way in WAYS:
        off, on = result[way, False], result[way, True]
        name = "lua_ffi_metrics, " + way
        times = f"{off * 1e6:8.3f}{on * 1e6:8.3f}{on / off:11.3f}"
        print(f"{name:32}{times}   (goal: {GOAL} at most)")
