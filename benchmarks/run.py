"""
Runs the measurements, interleaved, and shows them: `python -m benchmarks.run --help`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.progress import Progress

from benchmarks.common import Job
from benchmarks.cores import cores_awake, pin
from benchmarks.page import write_page
from benchmarks.picture import draw
from benchmarks.report import save, show
from benchmarks.targets import show_targets
from benchmarks.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.report import Results
    from benchmarks.workloads import Workload

RESULTS: Final = Path(__file__).parent / "results"
DOCS: Final = Path(__file__).parent.parent / "docs"


CACHE: Final = tempfile.TemporaryDirectory(prefix="wsfleet-benchmarks")
"""Compiled modules: to compile them takes a process longer than what is measured."""

ENVIRONMENT: Final = {
    **{key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
    "PYTHONPYCACHEPREFIX": CACHE.name,
}


@contextlib.contextmanager
def server() -> Iterator[dict[str, Any]]:
    """Run the server in a process of its own, and say where it is."""
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            pin(process.pid, is_server=True)
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def matching(only: str) -> list[Workload]:
    """Return the workloads whose key a regular expression finds."""
    return [workload for workload in WORKLOADS if re.search(only, workload.key)]


def job_for(workload: Workload, peer: str, where: dict[str, Any], scale: float) -> Job:
    """Return what a process is told to measure."""
    scheme, port = ("wss", where["tls_port"]) if workload.tls else ("ws", where["port"])
    return Job(
        peer=peer,
        what=workload.what,
        loop=workload.loop,
        url=f"{scheme}://127.0.0.1:{port}/",
        ca=where["ca"] if workload.tls else "",
        count=workload.count_for(peer, scale),
        size=workload.size,
    )


def measure(
    workload: Workload, peer: str, where: dict[str, Any], scale: float
) -> dict[str, float]:
    """Measure one library once, in a process of its own."""
    job = job_for(workload, peer, where, scale)
    command = [sys.executable, "-m", "benchmarks.measure", json.dumps(asdict(job))]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        try:
            pin(process.pid, is_server=False)
            printed, _ = process.communicate(timeout=300)
        finally:
            process.kill()  # one that hangs would be waited for
    if process.returncode:
        raise SystemExit(f"{peer} failed at {workload.key}")
    taken = json.loads(printed)
    return {
        "per_second": job.count / taken["wall"],
        "cpu_us": taken["cpu"] / job.count * 1e6,
        "kilobytes": taken["memory"] / job.count / 1000,
        "ns_per_byte": taken["cpu"] / job.count / max(job.size, 1) * 1e9,
    }


def run(chosen: list[Workload], rounds: int, scale: float) -> Results:
    """Measure everything once, then everything again: what slows the machine slows all."""
    results: Results = {workload.key: {} for workload in chosen}
    with cores_awake(), server() as where, Progress() as progress:
        total = rounds * sum(len(workload.peers) for workload in chosen)
        task = progress.add_task("measuring", total=total)
        for _ in range(rounds):
            for workload in chosen:
                for peer in workload.peers:
                    taken = measure(workload, peer, where, scale)
                    results[workload.key].setdefault(peer, []).append(taken)
                    progress.advance(task)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds, to see it work")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="regular expression of what to measure")
    parser.add_argument("--to", type=Path, default=RESULTS / "last.json")
    parser.add_argument("--docs", action="store_true", help="also write the docs' page of it")
    options = parser.parse_args()
    chosen = matching(options.only)
    rounds, scale = (2, 0.05) if options.quick else (options.rounds, 1.0)
    results = run(chosen, rounds, scale)
    console = Console(width=120)
    show(console, results)
    show_targets(console, results)
    content = save(options.to, results, rounds)
    if options.docs:
        write_page(DOCS / "explanation/results.md", content)
        draw(DOCS / "assets/benchmarks.svg", results)


if __name__ == "__main__":
    main()
