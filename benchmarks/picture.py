"""The newest results as a picture for the docs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.report import ratio
from benchmarks.workloads import INBOUND, TRIPS, WORKLOADS

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.report import Results
    from benchmarks.workloads import Workload

COLOURS: Final = {
    "websockets": "#9ecae1",
    "aiohttp": "#4292c6",
    "picows": "#084594",
    "httpx_ws": "#c6dbef",
}
BAR: Final = 0.2


def draw(path: Path, results: Results) -> None:
    """Draw how many messages wsfleet moves for each one that a peer moves."""
    shown = [
        w for w in WORKLOADS if w.group in {INBOUND, TRIPS} and len(results.get(w.key, {})) > 1
    ]
    mpl.rcParams["svg.hashsalt"] = "wsfleet"  # the same results give the same file
    figure = Figure(figsize=(8, 0.75 * len(shown) + 1), layout="constrained")
    axes = figure.subplots()
    for row, workload in enumerate(reversed(shown)):
        _draw_row(axes, row, workload, results)
    axes.set_yticks(
        range(len(shown)), [f"{w.group}\n{w.title}" for w in reversed(shown)], fontsize=8
    )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x", color="#e0e0e0", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xlabel("messages of wsfleet for each of the peer (log scale, median and spread)")
    handles, labels = axes.get_legend_handles_labels()
    by_label = dict(zip(labels, handles, strict=True))
    axes.legend(by_label.values(), by_label.keys(), loc="lower right", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def _draw_row(axes: Axes, row: int, workload: Workload, results: Results) -> None:
    rounds = results[workload.key]
    peers = [peer for peer in COLOURS if peer in rounds]
    middle = statistics.mean(range(len(peers)))
    for place, peer in enumerate(peers):
        median, least, most = ratio(rounds["wsfleet"], rounds[peer])
        at = row - (place - middle) * BAR
        axes.barh(at, median - 1.0, BAR, left=1.0, color=COLOURS[peer], label=peer)
        axes.plot([least, most], [at, at], color="grey", linewidth=1)
