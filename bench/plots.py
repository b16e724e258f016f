"""make plots: bench/plots/*.svg from what make bench has kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import matplotlib

matplotlib.use("svg")
# The same figures give the same file.
matplotlib.rcParams.update(
    {"svg.hashsalt": "resty-ffi", "svg.fonttype": "none", "font.size": 9, "axes.grid": True}
)

from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

BENCH = Path(__file__).parent
RESULT = BENCH.parent / "build" / "bench" / "result.json"
PLOTS = BENCH / "plots"

SIZES = {"16 B": 16, "1 KiB": 1 << 10, "16 KiB": 1 << 14, "100 KiB": 100 << 10, "1 MiB": 1 << 20}


def main() -> None:
    result = json.loads(RESULT.read_text())
    PLOTS.mkdir(exist_ok=True)
    for draw in (cpu, latency, crowds, idle):
        draw_one(draw, result)


def draw_one(draw: Callable[[Axes, dict[str, Any]], None], result: dict[str, Any]) -> None:
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    draw(axes, result)
    figure.supxlabel(result["machine"][0], fontsize=6, color="grey")
    figure.savefig(PLOTS / f"{draw.__name__}.svg", metadata={"Date": None})
    pyplot.close(figure)


def cpu(axes: Axes, result: dict[str, Any]) -> None:
    ways, worker, behind = [], [], []
    for key, cost in reversed(result["posts"].items()):
        way, _, size = key.partition(", ")
        if size == "512 B":
            ways.append(way)
            worker.append(cost["worker_cpu"] * 1e6)
            behind.append((cost["total_cpu"] - cost["worker_cpu"]) * 1e6)
    axes.barh(ways, worker, label="nginx worker")
    axes.barh(ways, behind, left=worker, label="server behind it")
    axes.set_title("CPU of a POST of 512 B, echoed")
    axes.set_xlabel("µs per request")
    axes.legend()


def latency(axes: Axes, result: dict[str, Any]) -> None:
    microseconds = {key: seconds * 1e6 for key, seconds in result["calls"].items()}
    _lines(axes, microseconds, SIZES)
    axes.set_title("A call, one after the other")
    axes.set_xlabel("bytes, there and back")
    axes.set_ylabel("µs")


def crowds(axes: Axes, result: dict[str, Any]) -> None:
    found = {key.partition(", ")[2] for key in result["calls"]}
    at_once = {load: int(load.split()[0].replace(",", "")) for load in found if "once" in load}
    per_second = {key: 1 / seconds for key, seconds in result["calls"].items()}
    _lines(axes, per_second, {"16 B": 1, **at_once})
    axes.set_title("Calls of 16 B")
    axes.set_xlabel("light threads")
    axes.set_ylabel("calls per second")


def _lines(axes: Axes, values: dict[str, float], loads: dict[str, int]) -> None:
    """A line for each way, over what the loads say."""
    order = sorted(loads, key=loads.__getitem__)
    for way in dict.fromkeys(key.partition(", ")[0] for key in values):
        points = [values[f"{way}, {load}"] for load in order]
        axes.plot([loads[load] for load in order], points, marker="o", label=way)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.legend(ncols=2, fontsize=7)


def idle(axes: Axes, result: dict[str, Any]) -> None:
    for way, runtimes in result["growth"]["idle"].items():
        resident = [one["resident_kib"] / 1024 for one in runtimes.values()]
        axes.plot([int(n) for n in runtimes], resident, marker="o", label=way)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title("Memory of a worker")
    axes.set_xlabel("idle runtimes")
    axes.set_ylabel("MiB resident")
    axes.legend()


if __name__ == "__main__":
    main()
