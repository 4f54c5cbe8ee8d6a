"""
Deadlines of what a peer has to answer, which know the stalls of the event loop.

Rule 1: a deadline that is reached in time, after no stall, has passed at once.
Rule 2: after a stall, all bytes that wait in the socket are read before a deadline passes.
Rule 3: time in which the loop was blocked is not counted against the peer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wsfleet._wire.connection import Connection

    from .stalls import Stalls

_LATE: Final = 0.02
"""Seconds; a timer that is later than this may have been overtaken by what was to be read."""

_LONGEST_READING: Final = 5.0
"""Seconds for which the reading after a stall may go on, however long the stall was."""

_SHORTEST_READING: Final = 0.02
"""Seconds that it has after the shortest stall."""

_QUIET: Final = 4
"""Turns of the loop without a read after which nothing waits in a socket."""

_QUIET_PUMPED: Final = 16
"""The same, where tasks move the bytes: through TLS, each read takes several turns."""


class Grace:
    """
    What is granted to a peer after a stall.

    Args:
        stalls: those of the running event loop.
        stall_after: seconds, the client's option.

    Attributes:
        connection: the one on which answers are awaited, or None.
    """

    __slots__ = ("_stall_after", "connection", "stalls")

    def __init__(self, stalls: Stalls, stall_after: float) -> None:
        self.stalls: Stalls = stalls
        self.connection: Connection | None = None
        self._stall_after = stall_after

    def end_of(self, began: float, seconds: float, now: float) -> float:
        """
        Return when a wait is over.

        Args:
            began: when it began, by the clock of the loop.
            seconds: how long it lasts, stalls left out.
            now: by the same clock.
        """
        # A stall that takes half of a short wait leaves the peer too little of it.
        shortest = min(self._stall_after, seconds / 2)
        return began + seconds + self.stalls.since(began, now, shortest)

    def stop(self) -> None:
        """Let go of what is shared with the other clients of the loop."""
        self.stalls.leave(self._stall_after)

    def is_doubtful(self, began: float, due: float, now: float) -> bool:
        """Whether what has arrived may not be read yet, in a wait that was due just now."""
        return now - due > _LATE or self.stalls.since(began, now) > 0.0

    def reading(
        self, connection: Connection | None, began: float, due: float, now: float
    ) -> Reading:
        """
        Return what watches a connection until that which may wait in its socket is read.

        What has arrived while the loop was blocked is read in about as much time; a stream that
        never pauses holds up no deadline for longer.

        Args:
            connection: the one, or None where there is none.
            began: when the wait began, by the clock of the loop.
            due: when it was over.
            now: by the same clock.
        """
        lost = max(now - due, self.stalls.since(began, now))
        seconds = min(_SHORTEST_READING + 2 * lost, _LONGEST_READING)
        return Reading(connection, self.stalls.now, seconds)


class Reading:
    """
    Watches a connection until nothing more waits in its socket.

    Args:
        connection: the one, or None where there is none.
        now: the clock of the loop.
        seconds: how long that may take: a stream may never pause.
    """

    __slots__ = ("_connection", "_now", "_quiet", "_reads", "_until")

    def __init__(
        self, connection: Connection | None, now: Callable[[], float], seconds: float
    ) -> None:
        self._connection = connection
        self._now = now
        self._until = now() + seconds
        self._reads = -1
        self._quiet = 0

    def goes_on(self) -> bool:
        """Whether the loop needs another turn; call this once in each turn."""
        connection = self._connection
        if connection is None or connection.ending is not None or self._now() > self._until:
            return False
        if connection.reads != self._reads:
            self._reads, self._quiet = connection.reads, 0
        self._quiet += 1
        return self._quiet <= (_QUIET_PUMPED if connection.pumped else _QUIET)


class Deadline:
    """
    The end of one wait; the wait may consist of several steps.

    Args:
        grace: what a peer is granted after a stall.
        seconds: how long it may take.
        connection: the one over which the answer comes.
        began: when it began, by the clock of the loop; now where it is None.
    """

    __slots__ = ("_began", "_connection", "_grace", "_is_read", "_now", "_seconds")

    def __init__(
        self,
        grace: Grace,
        seconds: float,
        connection: Connection | None,
        began: float | None = None,
    ) -> None:
        self._grace = grace
        self._now = grace.stalls.now
        self._began = self._now() if began is None else began
        self._seconds = seconds
        self._connection = connection
        self._is_read = False

    async def wait(self, step: Callable[[], Awaitable[object]]) -> bool:
        """
        Await a step; True when it is done, False when the caller has to look again at what it
        waits for, because bytes were read late or the deadline was extended.

        Args:
            step: what to await; it is cancelled and may be called again.

        Raises:
            TimeoutError: the deadline has passed.
        """
        end = self._grace.end_of(self._began, self._seconds, self._now())
        with anyio.CancelScope(deadline=end):
            await step()
            return True
        if await self._has_passed(end):
            raise TimeoutError
        return False

    async def _has_passed(self, due: float) -> bool:
        now = self._now()
        if self._grace.end_of(self._began, self._seconds, now) > now:
            self._is_read = False  # a stall: bytes of the added time are read, too
            return False
        if self._is_read or not self._grace.is_doubtful(self._began, due, now):
            return True
        reading = self._grace.reading(self._connection, self._began, due, now)
        while reading.goes_on():
            await checkpoint()
        self._is_read = True
        return False
