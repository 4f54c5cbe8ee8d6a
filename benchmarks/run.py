"""
Runs all measurements, interleaved, and prints ratios: `python -m benchmarks.run [--quick]`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

PEERS = ("wsfleet", "websockets", "httpx_ws", "aiohttp", "picows")
BALANCED = (1, 10, 100, 1000)


@dataclass
class Workload:
    """
    What is measured of each peer: the count is of messages, the size of bytes (or of clients).
    """

    title: str
    name: str
    loop: str
    count: int
    size: int
    peers: tuple[str, ...] = PEERS
    results: dict[str, list[dict[str, float]]] = field(default_factory=dict)


def workloads(scale: float) -> list[Workload]:
    """Return what is measured, with so many messages each."""
    counts = {"echo": int(10_000 * scale), "flood": int(100_000 * scale)}
    found = [
        Workload(f"{name} of 256 bytes on {loop}", name, loop, counts[name], 256)
        for name in ("echo", "flood")
        for loop in ("asyncio", "uvloop")
    ]
    ours = ("wsfleet",)
    found.append(
        Workload("request() on asyncio", "request", "asyncio", counts["echo"], 100, ours)
    )
    found += [
        Workload(
            f"send_balanced over {n} clients", "balanced", "asyncio", counts["echo"], n, ours
        )
        for n in BALANCED
    ]
    return found


def measure(url: str, workload: Workload, peer: str) -> None:
    """Measure one peer once."""
    count = workload.count // 10 if peer == "httpx_ws" else workload.count
    arguments = [url, peer, workload.name, workload.loop, str(count), str(workload.size)]
    command = [sys.executable, "-m", "benchmarks.peers", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured = json.loads(done.stdout)
    workload.results.setdefault(peer, []).append(
        {"per_second": count / measured["wall"], "cpu_us": measured["cpu"] / count * 1e6}
    )


def show(console: Console, measured: list[Workload]) -> None:
    """Print one table of peers, and one of our own."""
    table = Table(title="beside the peers: ratio wsfleet / peer, median (least-most)")
    for column in ("workload", "peer", "messages/s", "CPU us/message", "ratio"):
        table.add_column(column)
    for workload in measured:
        ours = workload.results["wsfleet"]
        for peer, rounds in workload.results.items():
            rates = [r["per_second"] for r in rounds]
            ratios = [o["per_second"] / r for o, r in zip(ours, rates, strict=True)]
            spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
            cpu = statistics.median(r["cpu_us"] for r in rounds)
            ratio = "" if peer == "wsfleet" else spread
            rate = f"{statistics.median(rates):,.0f}"
            table.add_row(workload.title, peer, rate, f"{cpu:.1f}", ratio)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/latest.json"))
    options = parser.parse_args()
    measured = workloads(0.1 if options.quick else 1.0)
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"ws://127.0.0.1:{int(server.stdout.readline())}/"
        try:
            for _ in range(2 if options.quick else options.rounds):
                for workload in measured:
                    for peer in workload.peers:
                        measure(url, workload, peer)
        finally:
            server.kill()
    show(Console(width=120), measured)
    save(options.json, measured)


def save(path: Path, measured: list[Workload]) -> None:
    """Write everything that was measured, with the machine and the versions."""
    versions = {name: importlib.metadata.version(name.replace("_", "-")) for name in PEERS}
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": versions,
        "results": {workload.title: workload.results for workload in measured},
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
