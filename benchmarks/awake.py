"""
Keeps the processor's cores awake while others are measured.

A core that fell asleep between two messages takes longer to wake up than any library takes for
a message, and when it does is nobody's doing: rates of the same library differ by two. One
process for each core spins in what time nobody else wants.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def cores_awake() -> Iterator[None]:
    """Let no core sleep, where the system knows processes that take only idle time (Linux)."""
    cores = os.sched_getaffinity(0) if hasattr(os, "SCHED_IDLE") else ()
    with contextlib.ExitStack() as spinning:
        for core in cores:
            command = [sys.executable, "-m", "benchmarks.awake", str(core)]
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
