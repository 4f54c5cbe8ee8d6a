"""The newest results as a page of the docs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.report import LAST_COLUMN, as_text, median_of, ratio
from benchmarks.targets import outcomes
from benchmarks.workloads import POOL, WORKLOADS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.workloads import Workload

HEAD = """\
# Benchmark results

Written by `nox -s bench`; [how it measures](speed.md).

{machine}, Python {python}, {rounds} interleaved rounds.
{versions}.

A ratio is the median over the rounds, with the smallest and the largest.
"messages" above 1: wsfleet moves more.
"CPU" below 1: it takes less of the processor for each.
The limit is a bare protocol that only counts bytes.
"keep" is one that reads each message into memory of its own.
"""

TARGETS = """
## Targets

{met} of {all} were met in this run; [where the rest goes](speed.md#where-the-time-goes).

| what | wanted | measured | |
| --- | --- | ---: | --- |
"""


def write_page(path: Path, content: dict[str, Any]) -> None:
    """Write all tables as Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    parts = [HEAD.format(**{**content, "versions": versions}), _targets(content["results"])]
    for group in dict.fromkeys(workload.group for workload in WORKLOADS):
        chosen = [w for w in WORKLOADS if w.group == group and w.key in content["results"]]
        if chosen:
            parts.append(f"\n## {group[0].upper()}{group[1:]}\n\n")
            parts.append(_table(group, chosen, content["results"]))
    path.write_text("".join(parts))


def _targets(results: dict[str, Any]) -> str:
    found = outcomes(results)
    head = TARGETS.format(met=sum(outcome.met for outcome in found), all=len(found))
    rows = [f"| {o.what} | {o.wanted} | {o.measured} | {o.verdict} |" for o in found]
    return head + "\n".join(rows) + "\n"


def _table(group: str, chosen: list[Workload], results: dict[str, Any]) -> str:
    last = LAST_COLUMN.get(group, ("messages, wsfleet / it", ""))[0]
    ratios = () if group == POOL else ("CPU, wsfleet / it", last)
    head = ("", "library", "per second", "CPU us each", *ratios)
    rule = ("---", "---", *("---:" for _ in head[2:]))
    rows = [head, rule]
    for workload in chosen:
        rows += _rows(workload, results[workload.key], len(ratios))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _rows(workload: Workload, peers: dict[str, Any], ratios: int) -> list[tuple[str, ...]]:
    ours = peers["wsfleet"]
    rows = []
    for peer, rounds in peers.items():
        first = peer == "wsfleet"
        row = [workload.title if first else "", peer]
        row += [
            f"{median_of(rounds, 'per_second'):,.0f}",
            f"{median_of(rounds, 'cpu_us'):.2f}",
        ]
        if ratios:
            row.append("" if first else as_text(ratio(ours, rounds, "cpu_us")))
            row.append("" if first else as_text(ratio(ours, rounds)))
            if workload.group in LAST_COLUMN:
                row[-1] = f"{median_of(rounds, LAST_COLUMN[workload.group][1]):.2f}"
        rows.append(tuple(row))
    return rows
