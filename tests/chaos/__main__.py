"""
The command `python -m tests.chaos`, which is what `nox -s chaos` runs.

Fails when a request is not accounted for, when something is left behind, or when the fleet is
not whole again in time.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

from .storm import LOOPS, PACE, Plan, run_storm

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .storm import Report

_SHOWN: Final = 20
"""Violations of a run that are printed in full."""

_STUCK: Final = 600.0
"""Seconds after which a run that does not even end its event loop is shown and ended."""

_TLS: Final = {"mixed": (False, True, False, True), "plain": (False,) * 4, "tls": (True,) * 4}


def _show_counts(title: str, counts: Counter[str]) -> None:
    shown = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    print(f"  {title}: {shown}")


def show(report: Report) -> None:
    """Print what came of a run."""
    _show_counts("requests", Counter(o.ending.value for o in report.outcomes))
    errors = (o for o in report.outcomes if o.detail)
    _show_counts(
        "errors", Counter(f"{e.detail.partition('(')[0]} {e.ending.value}" for e in errors)
    )
    _show_counts("faults", report.faults)
    _show_counts("events", report.events)
    _show_counts("log", report.logged)
    print(
        f"  {report.seconds:.1f} s, {report.connections:,} connections, "
        f"{report.actions:,} clients stopped or reconnected, whole again after "
        f"{report.recovered:.2f} s, loop late by {report.stalls.worst:.3f} s at most"
    )
    rules = Counter(violation.rule for violation in report.violations)
    _show_counts("VIOLATIONS" if rules else "no violations", rules)
    for violation in report.violations[:_SHOWN]:
        print(f"    {violation.rule}: {violation.detail}")


def plans(options: argparse.Namespace) -> Iterator[Plan]:
    """Return the runs that were asked for."""
    for seed in range(options.seed, options.seed + options.seeds):
        for loop in options.loop or LOOPS:
            yield Plan(seed, options.requests, loop, _TLS[options.transport], options.pace)


def main(arguments: Sequence[str]) -> int:
    """Run them; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many, one after the other")
    parser.add_argument("--seed", type=int, help="the first one; drawn when not given")
    parser.add_argument("--requests", type=int, default=10_000, help="of each run")
    parser.add_argument("--loop", action="append", choices=LOOPS, help="all when not given")
    parser.add_argument("--pace", type=float, default=PACE, help="seconds between faults")
    parser.add_argument("--tls", dest="transport", action="store_const", const="tls")
    parser.add_argument("--plain", dest="transport", action="store_const", const="plain")
    parser.set_defaults(transport="mixed")
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = random.randrange(2**32)
    failed = 0
    for plan in plans(options):
        print(f"seed {plan.seed}, {plan.loop}, {options.transport}, {plan.requests:,} requests")
        faulthandler.dump_traceback_later(_STUCK, exit=True)
        report = run_storm(plan)
        faulthandler.cancel_dump_traceback_later()
        show(report)
        failed += bool(report.violations)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
