"""
The running event loop's clock and one-shot results, without anyio's dispatch at each call.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio

from wsfleet._wire.loops import on_asyncio

from .deadline import Deadline, Grace
from .patience import EXPIRED, Patience
from .stalls import Stalls, stalls_of_loop

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

    grace: Grace
    """What a peer is granted after the loop was blocked."""

    def __call__(self, now: float, seconds: float) -> Waiter:
        """Return one whose time begins now, by the loop's clock, and is over after seconds."""

    def stop(self) -> None:
        """Let go of what is shared by those who wait; nobody does any more."""


class AnyPatience:
    """Makes waiters for any event loop."""

    __slots__ = ("grace",)

    def __init__(self, grace: Grace) -> None:
        self.grace: Grace = grace

    def __call__(self, now: float, seconds: float) -> Waiter:
        """Return one whose time begins now, by the loop's clock, and is over after seconds."""
        return _AnyWaiter(self.grace, now, seconds)

    def stop(self) -> None:
        """Nothing is shared by the waiters."""
        self.grace.stop()


class _AnyWaiter:
    __slots__ = ("_began", "_event", "_grace", "_seconds", "_value")

    def __init__(self, grace: Grace, began: float, seconds: float) -> None:
        self._event = anyio.Event()
        self._value: object = EXPIRED
        self._grace = grace
        self._began = began
        self._seconds = seconds

    def __await__(self) -> Generator[Any, None, Any]:
        return self._wait().__await__()

    async def _wait(self) -> Any:
        with anyio.CancelScope(deadline=self._began + self._seconds):
            await self._event.wait()
        if not self._event.is_set():
            await self._wait_longer()
        return self._value

    async def _wait_longer(self) -> None:
        """Wait for what may not be read yet, where the loop was blocked."""
        grace = self._grace
        deadline = Deadline(grace, self._seconds, grace.connection, self._began)
        with suppress(TimeoutError):
            while not self._event.is_set():
                await deadline.wait(self._event.wait)

    def set(self, value: object) -> None:
        if not self._event.is_set():
            self._value = value
            self._event.set()

    def close(self) -> None:
        pass


def running_clock(stall_after: float) -> tuple[Callable[[], float], NewWaiter]:
    """
    Return the running loop's clock, and what makes waiters for it until it is told to stop.

    Args:
        stall_after: seconds after which a blocked event loop counts as stalled.
    """
    stalls = stalls_of_loop()
    stalls.join(stall_after)
    grace = Grace(stalls, stall_after)
    if not on_asyncio():
        return stalls.now, AnyPatience(grace)  # works in other threads, too, as for metrics
    loop = asyncio.get_running_loop()
    return _clock_of(loop), Patience(loop, grace)


NO_PATIENCE: Final[NewWaiter] = AnyPatience(Grace(Stalls(anyio.current_time), math.inf))
"""Makes waiters where no event loop runs yet; all clients share it."""


def _clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return the clock itself where the loop only asks it: half the price."""
    asks = getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time
    return time.monotonic if asks else loop.time
