"""
How one task tells others, at no cost while nobody waits: an event takes 0.8 kB on asyncio, and
an idle connection would hold seven.

They are structs that the garbage collector does not know: in a large fleet it takes as long as
all else, and what waits here is never reached through here alone.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Final

import anyio
import msgspec

from .loops import on_asyncio

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_WOKEN: Final = 63
"""Tasks of one queue that go on in the same turn of the event loop."""


class Latch(msgspec.Struct, eq=False, gc=False):
    """Something that happens once."""

    _event: anyio.Event | asyncio.Event | None = None
    _set: bool = False

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._set

    def set(self) -> None:
        """Let it happen, and wake up who waits."""
        self._set = True
        if self._event is not None:
            self._event.set()

    async def wait(self) -> None:
        """Return once it has happened, at once if it has. Cancelling it changes nothing."""
        if self._set:
            return
        if self._event is None:
            self._event = _new_event()
        await self._event.wait()


class Changes(msgspec.Struct, eq=False, gc=False):
    """Something that happens again and again; who waits looks again at each."""

    _event: anyio.Event | asyncio.Event | None = None

    def tell(self) -> None:
        """Wake up who waits at this moment."""
        event, self._event = self._event, None
        if event is not None:
            event.set()

    async def next(self) -> None:
        """Return at the next change. Cancelling it changes nothing."""
        if self._event is None:
            self._event = _new_event()
        await self._event.wait()


class Turns(msgspec.Struct, eq=False, gc=False):
    """
    A queue of tasks that wait for room.

    The first `MOST_WOKEN` go on, and each that leaves wakes up one more: thousands that went on
    in one turn of the event loop, to find that the room is taken, would block it.
    """

    _events: dict[object, anyio.Event | asyncio.Event] | None = None

    def tell(self, *, all_of_them: bool = False) -> None:
        """
        Wake up those who wait, as there is room.

        Args:
            all_of_them: whether nobody has to wait any more.
        """
        if self._events:
            for event in islice(self._events.values(), None if all_of_them else MOST_WOKEN):
                event.set()

    async def wait(self, is_full: Callable[[], bool]) -> None:
        """
        Return in turn, once there is room. Cancelling it wakes up the next.

        Args:
            is_full: whether there is none.
        """
        events = self._events = {} if self._events is None else self._events
        place = object()
        try:
            while is_full():
                events[place] = event = _new_event()  # in the same place as before
                await event.wait()
        finally:
            events.pop(place, None)
            if not is_full() and (
                behind := next(islice(events.values(), MOST_WOKEN - 1, None), None)
            ):
                behind.set()


def _new_event() -> anyio.Event | asyncio.Event:
    """Return the event loop's own event: anyio's stands above it with two objects more."""
    return asyncio.Event() if on_asyncio() else anyio.Event()
