"""resty-ffi status: what lua_ffi_status says, for a terminal."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any, Iterator, Sequence

from .endpoint import EndpointError, ask

DEFAULT_URL = "http://127.0.0.1/ffi/status"

STAGES = ("queue", "guest", "loop")

_TIMEOUT = 10.0


@dataclass(frozen=True)
class Status:
    """One answer."""

    version: str
    time: float
    untracked: int
    bounds: Sequence[float]
    """Seconds, of all buckets but the last."""
    runtimes: Sequence[Any]
    """As the JSON has them."""


def fetch(url: str) -> Status:
    """Raises EndpointError."""
    status, answer = ask("GET", url, {"format": "json"}, _TIMEOUT)
    if status != 200 or answer is None or "runtimes" not in answer:
        raise EndpointError(
            f"HTTP {status}, but not from resty-ffi: the location needs lua_ffi_status;"
        )
    return Status(
        answer["version"],
        answer["time"],
        answer["untracked_runtimes"],
        answer["bounds"],
        answer["runtimes"],
    )


def main(url: str) -> int:
    """Prints the status once; 0 when there is one."""
    try:
        status = fetch(url)
    except EndpointError as error:
        print(f"resty-ffi: {url}: {error}", file=sys.stderr)
        return 1
    print("\n".join(_lines(status)))
    return 0


def _lines(status: Status) -> Iterator[str]:
    yield head(status)
    for runtime in status.runtimes:
        yield ""
        yield f"{title(runtime)}  {printable(runtime['configuration'])}".rstrip()
        yield from table(_HEADINGS, [_cells(status, one) for one in runtime["workers"]])
        for worker in runtime["workers"]:
            if worker["error"]:
                yield _error(worker)


_HEADINGS = (
    *("worker", "pid", "state", "calls", "failures", "abandoned", "waiting", "unanswered"),
    *("threads", "copies", "loads", "queue p50 p99", "guest p50 p99", "loop p50 p99"),
)


def _cells(status: Status, worker: Any) -> list[str]:
    numbers = ("abandoned", "queue_depth", "unanswered_calls", "threads", "library_copies", "loads")
    return [
        str(worker["worker"]),
        str(worker["pid"] or "-"),
        worker["state"],
        str(worker["calls"]),
        str(failures(worker)),
        *(str(worker[name]) for name in numbers),
        *(_quantiles(status, worker["seconds"][stage]["buckets"]) for stage in STAGES),
    ]


def _quantiles(status: Status, buckets: Sequence[int]) -> str:
    return " ".join(quantile(status.bounds, buckets, part) for part in (0.5, 0.99))


def _error(worker: Any) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(worker["error"]["time"]))
    return f"  worker {worker['worker']}, {at}: {printable(worker['error']['message'])}"


# ---- shared with top


def head(status: Status) -> str:
    more = f", {status.untracked} without room in lua_ffi_metrics" if status.untracked else ""
    return f"resty-ffi {status.version}: {len(status.runtimes)} runtimes{more}"


def title(runtime: Any) -> str:
    name = f"{runtime['library']} {runtime['entry']}".rstrip()
    return f"{printable(name)} [{runtime['id']}]"


def failures(worker: Any) -> int:
    """How many calls of a worker got an error."""
    return sum(worker["failures"].values())


def quantile(bounds: Sequence[float], buckets: Sequence[int], part: float) -> str:
    """The bound that this part of the times does not exceed; "-" when there are none."""
    total, seen = sum(buckets), 0
    if not total:
        return "-"
    for bound, count in zip(bounds, buckets):
        seen += count
        if seen and seen >= total * part:
            return seconds(bound)
    return ">" + seconds(bounds[-1])


def seconds(value: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.0f}{unit}"
    return f"{value * 1e6:.0f}µs"


def printable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in text)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines whose columns are as wide as they need be; the first is on the left."""
    widths = [max(map(len, column)) for column in zip(headings, *rows)]
    for row in (headings, *rows):
        first, *others = (
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths))
        )
        yield "  " + "  ".join([first, *others])
