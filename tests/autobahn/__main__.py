"""
The Autobahn test suite against wsfleet's client: `nox -s autobahn`.

All 517 cases of sections 1-7, 9, 10, 12 and 13 run, one after the other, on asyncio and on
trio. Anything but OK, NON-STRICT and INFORMATIONAL, in the behaviour or in how the connection
ended, fails the run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import anyio
import structlog

from .echo import echo
from .report import Report
from .suite import start_suite

LOOPS: Final[dict[str, dict[str, Any]]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}
MESSAGES: Final = 1000
QUICK: Final = 20


async def run_cases(options: argparse.Namespace, folder: Path) -> Report:
    """Run the chosen cases on the running event loop; print what goes wrong as it does."""
    report = Report(folder)
    messages = QUICK if options.quick else MESSAGES
    async with start_suite(
        options.python27, folder, messages=messages, patterns=options.case
    ) as suite:
        for section, cases in groupby(suite.cases, key=lambda case: case.partition(".")[0]):
            began = time.monotonic()
            for case in cases:
                error = await echo(suite.url(case))
                if bad := report.add(await suite.result(case), error):
                    print(bad, flush=True)
            print(f"section {section}: {time.monotonic() - began:.0f} s", flush=True)
    return report


def run_on(loop: str, options: argparse.Namespace) -> bool:
    """Run them on one kind of event loop; return whether all are good."""
    folder = Path(options.folder, loop)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"\n{loop}, logs in {folder}", flush=True)
    with (folder / "client.log").open("w") as log:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
        report = anyio.run(run_cases, options, folder, **LOOPS[loop])
    print(*report.lines(), sep="\n", flush=True)
    return report.passed


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="nox -s autobahn --", description=__doc__)
    parser.add_argument(
        "loops", nargs="*", metavar="LOOP", help=f"of {', '.join(LOOPS)}: asyncio and trio"
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK} messages in a case, not {MESSAGES}"
    )
    parser.add_argument(
        "--case", action="append", default=[], help="only these, such as 6.4.1 or '12.*'"
    )
    parser.add_argument("--python27", required=True, help="a Python 2.7 that has the suite")
    parser.add_argument(
        "--folder", default=tempfile.gettempdir(), help="for logs and what went wrong"
    )
    options = parser.parse_args(arguments)
    options.loops = options.loops or ["asyncio", "trio"]
    if unknown := set(options.loops) - LOOPS.keys():
        parser.error(f"no such event loop: {', '.join(unknown)}")
    return options


if __name__ == "__main__":
    chosen = parse(sys.argv[1:])
    outcomes = [run_on(loop, chosen) for loop in chosen.loops]
    sys.exit(0 if all(outcomes) else 1)
