"""
Which core of the processor does what while others are measured, where the system lets us say
so (Linux).

The server has a core, and what is measured has another: where the system moves them about, a
round trip within one core takes half as long as one between two, for whoever is lucky.

All cores are kept awake: a core that fell asleep between two messages takes longer to wake up
than any library takes for a message, and when it does is nobody's doing: rates of the same
library differ by two. One process for each core spins in what time nobody else wants.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator


CORES: Final = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []


def pin(process: int, *, is_server: bool) -> None:
    """Let a process run on the server's core or on the other, where there are two."""
    if len(CORES) > 1:
        os.sched_setaffinity(process, {CORES[0 if is_server else -1]})


@contextlib.contextmanager
def cores_awake() -> Iterator[None]:
    """Let no core sleep, where the system knows processes that take only idle time (Linux)."""
    cores = CORES if hasattr(os, "SCHED_IDLE") else []
    with contextlib.ExitStack() as spinning:
        for core in cores:
            command = [sys.executable, "-m", "benchmarks.cores", str(core)]
            process = spinning.enter_context(subprocess.Popen(command))
            spinning.callback(process.kill)
        yield


def spin(core: int) -> None:
    """Spin on one core, until killed or orphaned."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    os.sched_setaffinity(0, {core})
    parent = os.getppid()
    while os.getppid() == parent:
        for _ in range(100_000):
            pass


if __name__ == "__main__":
    spin(int(sys.argv[1]))
