"""
The running event loop's clock and one-shot results, without anyio's dispatch at each call.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from wsfleet._wire.loops import on_asyncio

from .patience import EXPIRED, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class Waiter(Protocol):
    """
    One result that one task awaits, or `EXPIRED` when its time is over.

    Cancelling it loses nothing.
    """

    def __await__(self) -> Generator[Any, None, Any]:
        """Return the result, or `EXPIRED`."""

    def set(self, value: object) -> None:
        """Give the result; only the first counts."""

    def close(self) -> None:
        """Nobody waits any more."""


class NewWaiter(Protocol):
    """Makes waiters for the event loop that runs."""

    def __call__(self, now: float, seconds: float) -> Waiter:
        """Return one whose time begins now, by the loop's clock, and is over after seconds."""

    def stop(self) -> None:
        """Let go of what is shared by those who wait; nobody does any more."""


class AnyPatience:
    """Makes waiters for any event loop."""

    __slots__ = ()

    def __call__(self, now: float, seconds: float) -> Waiter:
        """Return one whose time begins now, by the loop's clock, and is over after seconds."""
        return _AnyWaiter(now + seconds)

    def stop(self) -> None:
        """Nothing is shared."""


class _AnyWaiter:
    __slots__ = ("_deadline", "_event", "_value")

    def __init__(self, deadline: float) -> None:
        self._event = anyio.Event()
        self._value: object = EXPIRED
        self._deadline = deadline

    def __await__(self) -> Generator[Any, None, Any]:
        return self._wait().__await__()

    async def _wait(self) -> Any:
        with anyio.CancelScope(deadline=self._deadline):
            await self._event.wait()
        return self._value

    def set(self, value: object) -> None:
        if not self._event.is_set():
            self._value = value
            self._event.set()

    def close(self) -> None:
        pass


def running_clock() -> tuple[Callable[[], float], NewWaiter]:
    """Return the running loop's clock, and what makes waiters for it."""
    if not on_asyncio():
        return anyio.current_time, AnyPatience()
    loop = asyncio.get_running_loop()
    return _clock_of(loop), Patience(loop)


def _clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return the clock itself where the loop only asks it: half the price."""
    asks = getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time
    return time.monotonic if asks else loop.time
