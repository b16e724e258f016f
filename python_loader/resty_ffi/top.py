"""resty-ffi top: what runtimes do at the moment, the busiest first."""

from __future__ import annotations

import sys
import time
from itertools import count
from typing import Any, Iterator, Sequence

from .endpoint import EndpointError
from .status import Status, failures, fetch, head, quantile, table, title

_CLEAR = "\x1b[H\x1b[2J"

_HEADINGS = (
    *("runtime", "workers", "state", "calls/s", "failures/s", "waiting", "unanswered"),
    *("threads", "queue p99", "guest p50", "guest p99", "loop p99"),
)

_STATES = ("ready", "loading", "draining", "unloaded", "failed", "dead", "stuck")
"""The last one of those that workers are in is shown."""


def main(url: str, interval: float, rounds: int) -> int:
    """Prints the status again and again, rounds times or, when that is 0, until it is
    interrupted; 1 when there was never one."""
    before: Status | None = None
    try:
        for number in count(1):
            try:
                now = fetch(url)
            except EndpointError as error:
                if before is None:
                    print(f"resty-ffi: {url}: {error}", file=sys.stderr)
                    return 1
                _show([f"{url}: {error}"])
            else:
                _show(_lines(now, before))
                before = now
            if number == rounds:
                return 0
            time.sleep(interval)
    except KeyboardInterrupt:
        pass
    return 0


def _show(lines: Sequence[str] | Iterator[str]) -> None:
    if sys.stdout.isatty():
        print(_CLEAR, end="")
    print("\n".join(lines), flush=True)


def _lines(now: Status, before: Status | None) -> Iterator[str]:
    then = {runtime["id"]: runtime for runtime in before.runtimes} if before else {}
    elapsed = now.time - before.time if before else 0.0
    rows = [_Row(now, runtime, then.get(runtime["id"]), elapsed) for runtime in now.runtimes]
    rows.sort(key=lambda row: row.rate, reverse=True)
    yield head(now)
    yield from table(_HEADINGS, [row.cells() for row in rows])


class _Row:
    """One runtime, all its workers; what it did since then, or ever."""

    def __init__(self, status: Status, runtime: Any, then: Any, elapsed: float) -> None:
        self._bounds = status.bounds
        self._runtime = runtime
        self._then = then
        self._elapsed = elapsed
        self.rate = self._rate(self._grown(lambda worker: worker["calls"]))

    def cells(self) -> list[str]:
        workers = self._runtime["workers"]
        return [
            title(self._runtime),
            str(len(workers)),
            max((worker["state"] for worker in workers), key=_STATES.index),
            self._shown(self.rate),
            self._shown(self._rate(self._grown(failures))),
            *(str(self._sum(name)) for name in ("queue_depth", "unanswered_calls", "threads")),
            self._quantile("queue", 0.99),
            self._quantile("guest", 0.5),
            self._quantile("guest", 0.99),
            self._quantile("loop", 0.99),
        ]

    def _sum(self, name: str) -> int:
        return sum(worker[name] for worker in self._runtime["workers"])

    def _grown(self, number: Any) -> int:
        now = sum(map(number, self._runtime["workers"]))
        return int(now - sum(map(number, self._then["workers"])) if self._then else now)

    def _rate(self, grown: int) -> float:
        return grown / self._elapsed if self._then and self._elapsed > 0 else 0.0

    def _shown(self, rate: float) -> str:
        return f"{rate:.1f}" if self._then else "-"

    def _quantile(self, stage: str, part: float) -> str:
        """Of the calls since then, or of all if there are none."""
        now = self._buckets(self._runtime, stage)
        if self._then:
            grown = [a - b for a, b in zip(now, self._buckets(self._then, stage))]
            now = grown if sum(grown) > 0 and min(grown) >= 0 else now
        return quantile(self._bounds, now, part)

    @staticmethod
    def _buckets(runtime: Any, stage: str) -> list[int]:
        workers = (worker["seconds"][stage]["buckets"] for worker in runtime["workers"])
        return [sum(bucket) for bucket in zip(*workers)]
