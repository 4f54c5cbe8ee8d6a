"""
Plays many faults on the running event loop, several at a time.

Rule: what reaches the exception handler of the event loop is a fault of its own.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import sniffio
import structlog

from wsfleet.testing.background import BackgroundLoop

from .bounds import MARGIN
from .run import Player, Seen
from .scene import Journal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .fault import Fault

TRIES: Final = 3
"""How often a fault is played that takes longer than its bound."""

LOOP: Final = "event-loop"
"""Under which name the errors are listed that reached the event loop."""


async def play_all(
    faults: Sequence[Fault], *, at_once: int, margin: float = MARGIN
) -> dict[str, Seen]:
    """
    Play faults on the running event loop, several at a time.

    One that took longer than its bound is played again, alone: the others and the rest of the
    machine may have held it up.

    Args:
        faults: which.
        at_once: how many at a time; those that are to run alone come last.
        margin: seconds that each bound has for the work itself.

    Returns:
        What was seen of each, by name.
    """
    journal, loop = Journal(), BackgroundLoop()
    seen: dict[str, Seen] = {}
    player = Player(loop, journal, margin)
    await loop.start()
    try:
        with logging_to(journal), unhandled_errors() as unhandled:
            await _play_together([f for f in faults if not f.alone], at_once, player, seen)
            for fault in faults:
                await _play_alone(fault, player, seen)
    finally:
        await loop.stop()
    if unhandled:
        seen[LOOP] = Seen(problems=unhandled)
    return seen


@contextmanager
def logging_to(journal: Journal) -> Iterator[None]:
    """Have all that is logged go to a journal, and nowhere else."""
    processors = structlog.get_config()["processors"]
    structlog.configure(processors=[journal])
    try:
        yield
    finally:
        structlog.configure(processors=processors)


@contextmanager
def unhandled_errors() -> Iterator[list[str]]:
    """Collect what reaches the exception handler of asyncio's event loop; trio has none."""
    found: list[str] = []
    if sniffio.current_async_library() == "trio":
        yield found
        return

    def take(_: object, context: dict[str, Any]) -> None:
        found.append(f"{context.get('message')}: {context.get('exception')!r}")

    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(take)
    try:
        yield found
    finally:
        loop.set_exception_handler(handler)


async def _play_alone(fault: Fault, player: Player, seen: dict[str, Seen]) -> None:
    for _ in range(TRIES):
        last = seen.get(fault.name)
        if last is None or (last.late and not last.problems):
            seen[fault.name] = await player.play(fault)


async def _play_together(
    faults: Sequence[Fault], at_once: int, player: Player, seen: dict[str, Seen]
) -> None:
    limiter = anyio.CapacityLimiter(at_once)

    async def play(fault: Fault) -> None:
        async with limiter:
            seen[fault.name] = await player.play(fault)

    async with anyio.create_task_group() as tasks:
        for fault in faults:
            tasks.start_soon(play, fault)


def problems_of(seen: dict[str, Seen]) -> list[str]:
    """Return what is other than expected, one line for each."""
    return [
        f"{name}: {problem}"
        for name, each in seen.items()
        for problem in (*each.problems, *each.late)
    ]


def chosen(faults: Iterable[Fault], names: Sequence[str]) -> list[Fault]:
    """Return the faults with these names; all where none is named."""
    return [fault for fault in faults if not names or fault.name in names]
