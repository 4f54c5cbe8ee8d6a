"""
One run: a fleet that is used by many callers while its servers fail.

Rule: the clients' process does nothing else; the servers have one of their own.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import anyio
import trustme
from anyio.lowlevel import checkpoint

from wsfleet import ClientSupervisor

from .accounting import Evidence, Outcome, Violation, check
from .callers import call_of, carry_out
from .events import Sequences
from .fleet import Fleet
from .leftovers import Held, watched
from .process import running_servers, trusting
from .stalls import Stalls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .process import Servers

LOOPS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "asyncio": ("asyncio", {"use_uvloop": False}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}

CALLERS: Final = 64
PACE: Final = 0.4
QUIET: Final = 0.2
"""Seconds before the first fault."""

_CALM: Final = 0.1
"""The share of the requests that are sent after the last fault, when none may be lost."""

_OVERALL: Final = 60.0
"""Seconds that a run may take beyond what its requests take, before it is given up."""

_TURNS: Final = 5
"""Turns of the event loop in which a task ends that was told to."""

_SECONDS_EACH: Final = 0.05
"""Seconds that one request of a run takes at most, all callers together."""


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What is to be run.

    Attributes:
        seed: of everything that is drawn.
        requests: how many.
        loop: one of `LOOPS`.
        tls: for each endpoint, whether it is encrypted.
        pace: seconds between two faults of an endpoint, at the most.
    """

    seed: int
    requests: int
    loop: str
    tls: Sequence[bool] = (False, True, False, True)
    pace: float = PACE


@dataclass(slots=True)
class Report:
    """What came of a run."""

    plan: Plan
    seconds: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)
    stalls: Stalls = field(default_factory=Stalls)
    violations: list[Violation] = field(default_factory=list)
    logged: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    actions: int = 0
    connections: int = 0
    recovered: float = 0.0


def run_storm(plan: Plan) -> Report:
    """Run one; blocks until it has ended and everything is accounted for."""
    report = Report(plan)
    authority = trustme.CA()
    backend, options = LOOPS[plan.loop]
    with running_servers(plan.seed, plan.tls, plan.pace, authority) as servers:
        before = Held.now()
        began = time.monotonic()
        with watched(report.violations, report.logged):
            anyio.run(
                _storm,
                report,
                servers,
                trusting(authority),
                backend=backend,
                backend_options=options,
            )
        report.seconds = time.monotonic() - began
        report.violations += Held.now().left_since(before)
        log = servers.log()
    report.faults, report.connections = Counter(log.faults), len(log.links)
    report.violations += check(Evidence(plan.requests, report.outcomes, log, report.stalls))
    return report


async def _storm(report: Report, servers: Servers, tls: Any) -> None:
    if report.plan.loop != "trio":
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: report.violations.append(
                Violation("nothing_in_the_exception_handler", repr(context))
            )
        )
    tasks = {task.id for task in anyio.get_running_tasks()}
    with anyio.move_on_after(_OVERALL + report.plan.requests * _SECONDS_EACH) as patience:
        await _run(report, servers, tls)
    if patience.cancelled_caught:
        report.violations.append(Violation("the_run_ends", f"{len(report.outcomes)} outcomes"))
    for _ in range(_TURNS):
        await checkpoint()
    left = [task for task in anyio.get_running_tasks() if task.id not in tasks]
    report.violations += [Violation("no_task_left", repr(task)) for task in left]


async def _run(report: Report, servers: Servers, tls: Any) -> None:
    rng, sequences = random.Random(report.plan.seed), Sequences()
    async with ClientSupervisor() as pool, anyio.create_task_group() as background:
        fleet = Fleet(pool, servers.urls, tls, sequences, rng)
        background.start_soon(report.stalls.probe, anyio.sleep)
        background.start_soon(fleet.take_events)
        await fleet.fill()
        numbers = range(report.plan.requests)
        calm_from = int(len(numbers) * (1 - _CALM))
        async with anyio.create_task_group() as disturbers:
            disturbers.start_soon(_disturb, fleet, servers)
            await _send_all(report, pool, numbers[:calm_from])
            disturbers.cancel_scope.cancel()
        servers.calm()
        calm_since = time.monotonic()
        report.violations += await fleet.recover()
        report.recovered = time.monotonic() - calm_since
        await _send_all(report, pool, numbers[calm_from:])
        report.violations += await fleet.pending()
        background.cancel_scope.cancel()
    report.violations += [Violation("events_in_order", each) for each in sequences.problems]
    report.events, report.actions = sequences.counts, fleet.actions


async def _disturb(fleet: Fleet, servers: Servers) -> None:
    """Let everything fail, without end."""
    await anyio.sleep(QUIET)
    servers.start_faults()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fleet.disturb)
        tasks.start_soon(fleet.subscribe)


async def _send_all(report: Report, pool: ClientSupervisor, numbers: range) -> None:
    """Send these requests, and return when all of them have ended."""
    left = iter(numbers)
    async with anyio.create_task_group() as callers:
        for spins in (False,) * (CALLERS - 2) + (True,) * 2:
            callers.start_soon(_call, report, pool, left, spins)


async def _call(report: Report, pool: ClientSupervisor, numbers: Any, spins: bool) -> None:
    """Send one request after the other; a spinning caller does not wait after an error."""
    for number in numbers:
        call = call_of(report.plan.seed, number)
        outcome = await carry_out(pool, call)
        report.outcomes.append(outcome)
        if not (spins and outcome.detail and number % 10):
            await anyio.sleep(call.pause)
