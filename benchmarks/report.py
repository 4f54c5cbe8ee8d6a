"""Tables, and the file with all that was measured."""

from __future__ import annotations

import json
import os
import platform
import statistics
import tomllib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rich.table import Table

from benchmarks.workloads import FRAGMENTED, LARGE, OPENING, POOL, UPLOADS, WORKLOADS

if TYPE_CHECKING:
    from rich.console import Console

ROOT: Final = Path(__file__).parent.parent

Results: TypeAlias = dict[str, dict[str, list[dict[str, float]]]]
"""Of each workload and library, one row for each round."""

LAST_COLUMN: Final = {
    OPENING: ("kB each", "kilobytes"),
    LARGE: ("CPU ns per byte", "ns_per_byte"),
    FRAGMENTED: ("CPU ns per byte", "ns_per_byte"),
    UPLOADS: ("CPU ns per byte", "ns_per_byte"),
}
"""What is told of a group instead of the ratio of messages."""

VERSIONED: Final = (
    "wsfleet",
    "websockets",
    "aiohttp",
    "picows",
    "httpx-ws",
    "uvloop",
    "trio",
    "orjson",
    "msgspec",
)


def median_of(rounds: list[dict[str, float]], what: str) -> float:
    """Return the median over the rounds."""
    return statistics.median(row[what] for row in rounds)


def ratio(
    ours: list[dict[str, float]], theirs: list[dict[str, float]], what: str = "per_second"
) -> tuple[float, float, float]:
    """Return the median, least and greatest of the rounds' ratios of ours to theirs."""
    ratios = [a[what] / b[what] for a, b in zip(ours, theirs, strict=True) if b[what]]
    return statistics.median(ratios), min(ratios), max(ratios)


def as_text(of: tuple[float, float, float]) -> str:
    """Return a ratio and its spread."""
    return "{:.2f} ({:.2f}-{:.2f})".format(*of)


def show(console: Console, results: Results) -> None:
    """Print a table for each group of workloads."""
    for group in dict.fromkeys(workload.group for workload in WORKLOADS):
        chosen = [w for w in WORKLOADS if w.group == group and w.key in results]
        if chosen:
            table = _new_table(group)
            for workload in chosen:
                _add_rows(table, workload.title, workload.group, results[workload.key])
                table.add_section()
            console.print(table)


def _new_table(group: str) -> Table:
    table = Table(title=group, title_justify="left")
    last = LAST_COLUMN.get(group, ("wsfleet / peer", ""))[0]
    for column in ("", "library", "per second", "CPU us each", "CPU wsfleet / peer", last):
        table.add_column(column, justify="left" if column in {"", "library"} else "right")
    return table


def _add_rows(
    table: Table, title: str, group: str, peers: dict[str, list[dict[str, float]]]
) -> None:
    ours = peers["wsfleet"]
    for peer, rounds in peers.items():
        last = "" if peer == "wsfleet" else as_text(ratio(ours, rounds))
        if group in LAST_COLUMN:
            last = f"{median_of(rounds, LAST_COLUMN[group][1]):.2f}"
        table.add_row(
            title if peer == "wsfleet" else "",
            peer,
            f"{median_of(rounds, 'per_second'):,.0f}",
            f"{median_of(rounds, 'cpu_us'):.2f}",
            ""
            if peer == "wsfleet" or group == POOL
            else as_text(ratio(ours, rounds, "cpu_us")),
            last,
        )


def _version(name: str) -> str:
    """Return the version; ours also where it runs from its source."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        if project["name"] != name:
            raise
        return f"{project['version']} (source)"


def save(path: Path, results: Results, rounds: int) -> dict[str, Any]:
    """Write everything that was measured, with the machine and the versions; return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in VERSIONED},
        "rounds": rounds,
        "results": results,
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    return content
