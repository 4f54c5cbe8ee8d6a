"""
Stalls of the event loop: how long it was blocked, by user code, a stopped process or swapping.

Rule 1: one monitor for each event loop, shared by all clients that run on it.
Rule 2: no monitor where time is virtual: a timer that never ends would keep such time going.
Rule 3: a stall is logged once, when it is over; shorter delays are only recorded.
"""

from __future__ import annotations

import asyncio
import math
import sys
from bisect import insort
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from wsfleet._log import Log
from wsfleet._wire.loops import on_asyncio

if TYPE_CHECKING:
    from collections.abc import Callable

_log = Log(lambda _: None)  # no task of a user's is there to raise what ends the program

_SHORTEST: Final = 0.05
"""Seconds; delays below it are the ordinary load of an event loop."""

_KEPT: Final = 64
"""Stalls that are remembered; a deadline looks back on those within its own length."""


class Stalls:
    """
    The recent stalls of one event loop; this class itself never sees one.

    Args:
        now: the clock of the loop.

    Attributes:
        release: called when the last client has left, or None.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now: Callable[[], float] = now
        self._recent: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        self._limits: list[float] = []  # `stall_after` of each running client, sorted
        self.release: Callable[[], object] | None = None

    def since(self, began: float, now: float, shortest: float = _SHORTEST) -> float:
        """
        Return the seconds in which the loop was blocked between two moments of its clock.

        Args:
            began: the first moment.
            now: the present one.
            shortest: seconds; shorter stalls are left out.
        """
        total = 0.0
        for ended, seconds in reversed(self._recent):
            if ended <= began:
                break
            if seconds >= shortest:
                total += min(seconds, ended - began)
        late = self.lateness(now)
        return total + (late if late >= shortest else 0.0)

    def lateness(self, now: float) -> float:  # noqa: ARG002 - for subclasses
        """Return the seconds of a stall that ended just now and is not recorded yet, or 0."""
        return 0.0

    @property
    def watching(self) -> bool:
        """Whether a client is served."""
        return bool(self._limits)

    def join(self, stall_after: float) -> None:
        """Begin to serve a client whose stalls begin at `stall_after` seconds."""
        insort(self._limits, stall_after)
        if len(self._limits) == 1:
            self.start()

    def leave(self, stall_after: float) -> None:
        """Serve that client no more."""
        self._limits.remove(stall_after)
        if not self._limits:
            self.stop()
            release, self.release = self.release, None
            if release is not None:
                release()

    def start(self) -> None:
        """Begin to look for stalls."""

    def stop(self) -> None:
        """Look for stalls no more."""

    def record(self, ended: float, seconds: float) -> None:
        """Record a stall, and log it where it is long enough for one of the clients."""
        if seconds < _SHORTEST:
            return
        self._recent.append((ended, seconds))
        if self._limits and seconds >= self._limits[0]:
            _log.warning("loop.stalled", seconds=round(seconds, 3))


class _Ticks(Stalls):
    """Finds stalls by a timer that is late: nothing is done at each turn of the loop."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(now)
        self._due = math.inf

    def lateness(self, now: float) -> float:
        return max(0.0, now - self._due)

    def _next_tick(self) -> float:
        # How exactly a stall is measured, and how often an idle process wakes up.
        self._due = self.now() + min(0.1, max(0.02, self._limits[0] / 5))
        return self._due

    def _tick(self) -> float:
        """Look how late this tick is; return when the next one is due."""
        now = self.now()
        late = now - self._due
        due = self._next_tick()
        self.record(now, late)
        return due


class _AsyncioStalls(_Ticks):
    """The same on asyncio and uvloop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop.time)
        self._loop = loop
        self._timer: asyncio.TimerHandle

    def start(self) -> None:
        self._timer = self._loop.call_at(self._next_tick(), self._on_timer)

    def stop(self) -> None:
        self._timer.cancel()

    def _on_timer(self) -> None:
        self._timer = self._loop.call_at(self._tick(), self._on_timer)


class _TrioStalls(_Ticks):
    """
    The same on trio, in a system task: trio has no timers without tasks, and an instrument of
    trio would cost each turn of the loop a microsecond.
    """

    def start(self) -> None:
        trio = sys.modules["trio"]
        self._scope = trio.CancelScope()
        trio.lowlevel.spawn_system_task(self._watch, self._next_tick(), name="wsfleet.stalls")

    def stop(self) -> None:
        self._scope.cancel()

    async def _watch(self, due: float) -> None:
        with self._scope:
            while True:
                await sys.modules["trio"].sleep_until(due)
                due = self._tick()


_monitors: Final[dict[object, Stalls]] = {}
"""By event loop. A variable of anyio takes as long as all else of what a client begins with."""


def stalls_of_loop() -> Stalls:
    """Return what the clients on the running event loop share; one of them must `join` it."""
    loop: object
    if on_asyncio():
        loop = asyncio.get_running_loop()
    else:  # trio's loop has no object of its own
        loop = sys.modules["trio"].lowlevel.current_trio_token()
    stalls = _monitors.get(loop)
    if stalls is None:
        stalls = _monitors[loop] = _new_stalls()
        stalls.release = partial(_monitors.pop, loop, None)
    return stalls


def _new_stalls() -> Stalls:
    if on_asyncio():
        loop = asyncio.get_running_loop()
        return _AsyncioStalls(loop) if _is_real(loop) else Stalls(loop.time)
    clock = sys.modules["trio"].lowlevel.current_clock()
    now = clock.current_time()
    # A virtual clock asks the loop to sleep for another time than its own.
    is_real = 0.0 < clock.deadline_to_sleep_time(now + 1.0) <= 1.0
    return _TrioStalls(clock.current_time) if is_real else Stalls(anyio.current_time)


def _is_real(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a loop has the time of the system: asyncio's own clock, or uvloop's."""
    if isinstance(loop, asyncio.BaseEventLoop):
        return type(loop).time is asyncio.BaseEventLoop.time
    return type(loop).__module__.startswith("uvloop")
