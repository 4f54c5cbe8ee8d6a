"""
How answers are awaited on asyncio: one timer for all that were given the same time.

A timer for each answer costs the event loop more than the rest of the waiting, and hardly any
is ever needed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from .speedups import AsyncioWaiter

if TYPE_CHECKING:
    import asyncio

    from .deadline import Grace, Reading

EXPIRED: Final = object()
"""What is awaited has not come in time."""

_MOST_LINES: Final = 64
"""Different times for which a timer is kept for the next who is given as much."""


class Patience:
    """
    Makes waiters whose result is `EXPIRED` when their time is over.

    Args:
        loop: theirs.
        grace: what a peer is granted after the loop was blocked.
    """

    __slots__ = ("_lines", "grace", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, grace: Grace) -> None:
        self.grace: Grace = grace
        self.loop: asyncio.AbstractEventLoop = loop
        self._lines: dict[float, _Line] | None = None  # an idle client does without

    def __call__(self, now: float, seconds: float) -> AsyncioWaiter:
        """
        Return a waiter whose time begins now.

        Args:
            now: by the loop's clock.
            seconds: after which it is over.
        """
        lines = self._lines
        line = None if lines is None else lines.get(seconds)
        if line is None:
            line = self._new_line(seconds)
        waiter = AsyncioWaiter(line, self.loop)
        line.deadlines[waiter] = deadline = now + seconds
        if line.timer is None:
            line.timer = self.loop.call_at(deadline, line.end)
        return waiter

    def _new_line(self, seconds: float) -> _Line:
        if self._lines is None:
            self._lines = {}
        line = _Line(self, seconds, is_kept=len(self._lines) < _MOST_LINES)
        self._lines[seconds] = line
        return line

    def stop(self) -> None:
        """Let go of the timers; nobody waits any more."""
        self.grace.stop()
        lines, self._lines = self._lines, None
        for line in lines.values() if lines else ():
            if line.timer is not None:
                line.timer.cancel()

    def drop(self, line: _Line) -> None:
        """
        Forget a line in which nobody is left.

        Args:
            line: the one.
        """
        if self._lines is not None and self._lines.get(line.seconds) is line:
            del self._lines[line.seconds]


class _Line:
    """Who waits equally long, in the order in which their time began, so also ends."""

    __slots__ = ("_patience", "deadlines", "is_kept", "seconds", "timer")

    def __init__(self, patience: Patience, seconds: float, *, is_kept: bool) -> None:
        self.deadlines: dict[AsyncioWaiter, float] = {}
        self.timer: asyncio.Handle | None = None  # for the first
        # Times that differ at each waiting would leave a line behind for each.
        self.is_kept = is_kept
        self._patience = patience
        self.seconds = seconds

    def end(self) -> None:
        """End the waiting of those whose time is over, and come back for the next."""
        grace, now = self._patience.grace, self._patience.loop.time()
        self.timer = None
        due = next(iter(self.deadlines.values()), math.inf)
        began = due - self.seconds
        if due <= now and grace.is_doubtful(began, due, now):
            self._read_first(grace.reading(grace.connection, began, due, now))
        else:
            self._end(now)

    def _read_first(self, reading: Reading) -> None:
        """Let the loop read the bytes that have arrived before anything is judged."""
        if reading.goes_on():
            self.timer = self._patience.loop.call_soon(self._read_first, reading)
        else:
            self.timer = None
            self._end(self._patience.loop.time())

    def _end(self, now: float) -> None:
        grace, loop = self._patience.grace, self._patience.loop
        ended = []
        for waiter, deadline in self.deadlines.items():
            end = grace.end_of(deadline - self.seconds, self.seconds, now)
            if end > now:
                self.timer = loop.call_at(end, self.end)
                break
            ended.append(waiter)
        for waiter in ended:
            waiter.set(EXPIRED)
            waiter.close()
        if not self.deadlines:
            self._patience.drop(self)

    def leave(self) -> None:
        """Go: the last has left, and it is not kept."""
        if self.timer is not None:
            self.timer.cancel()
        self._patience.drop(self)
