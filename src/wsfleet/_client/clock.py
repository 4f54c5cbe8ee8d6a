"""
The running event loop's clock and one-shot results, without anyio's dispatch at each call.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio

from wsfleet._wire.loops import on_asyncio

if TYPE_CHECKING:
    from collections.abc import Callable

EXPIRED: Final = object()
"""What a waiter returns when nothing came in time."""


class Waiter(Protocol):
    """One result that one task waits for."""

    def set(self, value: object) -> None:
        """Give the result; only the first counts."""

    async def wait(self, deadline: float) -> Any:
        """
        Return the result, or `EXPIRED` at that time of the loop's clock. Cancelling it loses
        nothing.
        """


class _AsyncioWaiter:
    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[object] = self._loop.create_future()

    def set(self, value: object) -> None:
        if not self._future.done():
            self._future.set_result(value)

    async def wait(self, deadline: float) -> Any:
        timer = self._loop.call_at(deadline, self.set, EXPIRED)
        try:
            return await self._future
        finally:
            timer.cancel()


class AnyWaiter:
    """A waiter for any event loop."""

    __slots__ = ("_event", "_value")

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._value: object = EXPIRED

    def set(self, value: object) -> None:
        """Give the result; only the first counts."""
        if not self._event.is_set():
            self._value = value
            self._event.set()

    async def wait(self, deadline: float) -> Any:
        """Return the result, or `EXPIRED` at that time of the loop's clock."""
        with anyio.CancelScope(deadline=deadline):
            await self._event.wait()
        return self._value


def running_clock() -> tuple[Callable[[], float], Callable[[], Waiter]]:
    """Return the running loop's clock, and what makes waiters for it."""
    if on_asyncio():
        return asyncio.get_running_loop().time, _AsyncioWaiter
    return anyio.current_time, AnyWaiter
