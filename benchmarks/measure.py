"""One measurement, in a process of its own: `python -m benchmarks.measure JOB` (JSON)."""

from __future__ import annotations

import importlib
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from benchmarks.common import Job

if TYPE_CHECKING:
    from benchmarks.common import Measured


def run_job(peer: Any, job: Job) -> Measured:
    """Measure in this process."""
    backend, options = ("trio", {}) if job.loop == "trio" else ("asyncio", {})
    if job.loop == "uvloop":
        options = {"use_uvloop": True}
    return anyio.run(getattr(peer, job.what), job, backend=backend, backend_options=options)


def main() -> None:
    job = Job(**json.loads(sys.argv[1]))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    peer = importlib.import_module(f"benchmarks.peers.{job.peer}")
    print(json.dumps(run_job(peer, job).as_dict()))


if __name__ == "__main__":
    main()
