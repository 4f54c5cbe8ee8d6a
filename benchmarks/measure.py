"""One measurement, in a process of its own: `python -m benchmarks.measure JOB` (JSON)."""

from __future__ import annotations

import importlib
import json
import logging
import sys

import anyio
import structlog

from benchmarks.common import Job


def main() -> None:
    job = Job(**json.loads(sys.argv[1]))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    peer = importlib.import_module(f"benchmarks.peers.{job.peer}")
    backend, options = ("trio", {}) if job.loop == "trio" else ("asyncio", {})
    if job.loop == "uvloop":
        options = {"use_uvloop": True}
    measured = anyio.run(getattr(peer, job.what), job, backend=backend, backend_options=options)
    print(json.dumps(measured.as_dict()))


if __name__ == "__main__":
    main()
