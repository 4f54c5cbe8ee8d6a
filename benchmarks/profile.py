"""
Shows where the time of a workload goes: `python -m benchmarks.profile "round trips: 256 B"`.

Samples the running function each half a millisecond of CPU time. What a function calls in C,
the kernel included, counts as its own; uvloop's own work, which is C, counts as that of the
Python function that runs next.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import logging
import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.common import Measured, Watch
from benchmarks.cores import cores_awake, pin
from benchmarks.measure import run_job
from benchmarks.run import job_for, matching, server

if TYPE_CHECKING:
    from types import FrameType

    from benchmarks.workloads import Workload

INTERVAL: Final = 0.0005
OWNERS: Final = {
    "wsfleet._wire": "wsfleet: the wire",
    "wsfleet": "wsfleet: the client",
    "benchmarks": "the user's handler, and the measuring",
    "asyncio": "the event loop and the kernel",
    "selectors": "the event loop and the kernel",
    "trio": "the event loop and the kernel",
}
samples: Final[collections.Counter[tuple[str, str]]] = collections.Counter()


class Sampling(Watch):
    """A watch that samples while it runs."""

    def __init__(self) -> None:
        super().__init__()
        signal.signal(signal.SIGPROF, take)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def read(self) -> Measured:
        signal.setitimer(signal.ITIMER_PROF, 0)
        return super().read()


def take(_: int, frame: FrameType | None) -> None:
    """Count the function that runs."""
    if frame is not None:
        samples[frame.f_globals.get("__name__", ""), frame.f_code.co_qualname] += 1


def owner_of(module: str) -> str:
    """Return whose a module is."""
    for prefix, owner in OWNERS.items():
        if module == prefix or module.startswith(f"{prefix}."):
            return owner
    return "other"


def show(workload: Workload, peer: str, measured: Measured, count: int) -> None:
    """Print the shares, by owner and by function."""
    each = measured.cpu / count * 1e6
    by_owner: collections.Counter[str] = collections.Counter()
    for (module, _), taken in samples.items():
        by_owner[owner_of(module)] += taken
    title = f"{workload.key}, {peer}: {each:.2f} us of CPU each"
    table = Table("share", "us", "where", title=title, title_justify="left")
    rows: list[tuple[str, int]] = by_owner.most_common()
    rows += [
        (f"  {module}: {name}", taken) for (module, name), taken in samples.most_common(25)
    ]
    for place, (where, taken) in enumerate(rows):
        share = taken / samples.total()
        row = (f"{share:.1%}", f"{share * each:.2f}", where)
        table.add_row(*row, end_section=place == len(by_owner) - 1)
    Console(width=100).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", help="regular expression of what to profile")
    parser.add_argument("--peer", default="wsfleet")
    parser.add_argument("--times", type=int, default=5, help="as many messages as measured")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    peer: Any = importlib.import_module(f"benchmarks.peers.{options.peer}")
    peer.Watch = Sampling
    with cores_awake(), server() as where:
        pin(os.getpid(), is_server=False)
        for workload in matching(options.only):
            samples.clear()
            job = job_for(workload, options.peer, where, 1.0)
            job = replace(job, count=job.count * options.times)
            show(workload, options.peer, run_job(peer, job), job.count)


if __name__ == "__main__":
    main()
