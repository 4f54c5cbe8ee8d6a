"""
How a connection is kept alive, and how a dead peer is found.

A heartbeat is an object with one method, so that a venue can bring its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import anyio

from wsfleet._wire.signals import Latch
from wsfleet.errors import ConfigError

from .latency import LatencyWindow

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsfleet._wire.connection import Connection


@dataclass(frozen=True, slots=True)
class HeartbeatHealth:
    """
    How the heartbeat does; times in seconds.

    Attributes:
        kind: the heartbeat's name.
        failures: peers that it found dead.
        last_heard: since its last answer, or None before the first.
        last_round_trip: the latest, or None.
        median_round_trip: over the window, or None.
    """

    kind: str
    failures: int
    last_heard: float | None
    last_round_trip: float | None
    median_round_trip: float | None


@runtime_checkable
class Heartbeat(Protocol):
    """What keeps one connection alive."""

    async def run(self, pulse: Pulse) -> None:
        """
        Beat for as long as the connection lasts; return when the peer is to be given up as
        dead.

        Args:
            pulse: what it can do with the connection.

        Cancelled when the connection ends otherwise.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PingPong:
    """
    Pings of RFC 6455 section 5.5.2, each of which the peer must answer.

    Attributes:
        interval: seconds between pings; None takes `heartbeat_interval`.
        timeout: seconds in which the pong, or anything else, must come.
    """

    interval: float | None = None
    timeout: float = 10.0

    def __post_init__(self) -> None:
        for option, value in (("interval", self.interval), ("timeout", self.timeout)):
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(
                    f"heartbeat {option}", "must be more than 0 seconds, and finite"
                )

    async def run(self, pulse: Pulse) -> None:
        """
        Ping at each interval; return when one was not answered.

        Args:
            pulse: what it can do with the connection.
        """
        interval = pulse.interval if self.interval is None else self.interval
        while True:
            await anyio.sleep(interval)
            if await pulse.ping(self.timeout) is None:
                return


class Pulse:
    """
    What a heartbeat can do with a connection.

    Args:
        connection: the one to keep alive.
        record: takes the round trips.
        interval: seconds, the client's `heartbeat_interval`.
        clock: the running loop's.
    """

    __slots__ = ("_awaited", "_clock", "_connection", "_count", "_pong", "_record", "interval")

    def __init__(
        self,
        connection: Connection,
        record: HeartbeatRecord,
        interval: float,
        clock: Callable[[], float],
    ) -> None:
        self.interval: float = interval
        self._connection = connection
        self._record = record
        self._clock = clock
        self._count = 0
        self._awaited = b""
        self._pong = Latch()

    async def ping(self, timeout: float) -> float | None:
        """
        Ping, and return the round trip in seconds, or None when the peer seems dead.

        It seems dead when for `timeout` seconds nothing came at all. Time in which we did not
        read is not counted, and a pong may wait behind data that still arrives.

        Args:
            timeout: seconds.
        """
        self._count += 1
        self._awaited = self._count.to_bytes(8)
        self._pong = Latch()
        sent_at = self._clock()
        self._connection.ping(self._awaited)
        if not await self._answered(timeout):
            return None
        round_trip = self._clock() - sent_at
        self._record.answered(round_trip, self._clock())
        return round_trip

    async def _answered(self, timeout: float) -> bool:
        connection = self._connection
        while True:
            reads, pauses = connection.reads, connection.pauses
            with anyio.move_on_after(timeout):
                await self._pong.wait()
                return True
            read_nothing = connection.reads == reads
            could_read = connection.pauses == pauses and not connection.paused
            if read_nothing and could_read:
                return False

    def on_pong(self, payload: bytes) -> None:
        """
        Take a pong; those that answer no ping of ours are ignored (RFC 6455 section 5.5.3).

        Args:
            payload: its application data.
        """
        if payload == self._awaited:
            self._pong.set()


class HeartbeatRecord:
    """What a client remembers of its heartbeats, over all its connections."""

    __slots__ = ("_heard_at", "_window", "failures")

    def __init__(self, size: int) -> None:
        self.failures: int = 0
        self._heard_at: float | None = None
        self._window = LatencyWindow(size)

    def answered(self, round_trip: float, now: float) -> None:
        """Take note of an answer."""
        self._window.add(round_trip)
        self._heard_at = now

    def health(self, kind: str, now: float) -> HeartbeatHealth:
        """Return how it does at `now`."""
        stats = self._window.stats()
        return HeartbeatHealth(
            kind=kind,
            failures=self.failures,
            last_heard=None if self._heard_at is None else now - self._heard_at,
            last_round_trip=None if stats is None else stats.last,
            median_round_trip=None if stats is None else stats.p50,
        )
