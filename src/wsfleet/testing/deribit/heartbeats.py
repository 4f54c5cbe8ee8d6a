"""
The venue's heartbeat: it asks whether the client is alive, and hangs up when it is silent.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .rpc import invalid_params, notification

if TYPE_CHECKING:
    from wsfleet.testing.sessions import MockConnection

LEAST_INTERVAL: Final = 10.0
HEARTBEAT: Final = notification("heartbeat", {"type": "heartbeat"})
TEST_REQUEST: Final = notification("heartbeat", {"type": "test_request"})


@dataclass(frozen=True, slots=True)
class Pace:
    """
    How long the venue's times take here.

    Args:
        scale: seconds that pass for each second of an interval.
        grace: seconds in which `public/test` must follow; None for one interval.
    """

    scale: float
    grace: float | None

    def grace_after(self, interval: float | None) -> float:
        """Return how long a client may take to answer."""
        if self.grace is not None:
            return self.grace
        return (LEAST_INTERVAL if interval is None else interval) * self.scale


class Heartbeats:
    """The heartbeat of one connection."""

    def __init__(self, connection: MockConnection, pace: Pace) -> None:
        self.interval: float | None = None
        self._connection = connection
        self._pace = pace
        self._next: asyncio.TimerHandle | None = None
        self._end: asyncio.TimerHandle | None = None

    def start(self, interval: float) -> None:
        """
        Beat from now on, each `interval` of the venue's seconds.

        Raises:
            RpcError: the interval is too short.
        """
        if interval < LEAST_INTERVAL:
            raise invalid_params("interval", f"value must be at least {LEAST_INTERVAL:g}")
        self.stop()
        self.interval = interval
        self._schedule()

    def stop(self) -> None:
        """Beat no more, and forget what was asked."""
        self.interval = None
        self.answered()
        if self._next is not None:
            self._next.cancel()

    def ask(self) -> None:
        """Send a test request; without an answer in time the connection is closed."""
        self._connection.send(TEST_REQUEST)
        if self._end is None:
            grace = self._pace.grace_after(self.interval)
            self._end = asyncio.get_running_loop().call_later(grace, self._connection.close)

    def answered(self) -> None:
        """Take the client for alive."""
        if self._end is not None:
            self._end.cancel()
            self._end = None

    def _schedule(self) -> None:
        if self.interval is not None:
            wait = self.interval * self._pace.scale
            self._next = asyncio.get_running_loop().call_later(wait, self._beat)

    def _beat(self) -> None:
        self._connection.send(HEARTBEAT)
        self.ask()
        self._schedule()
