"""
How a connection is kept alive, and how a dead peer is found.

A heartbeat is an object with one method, so that a venue can bring its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import anyio
import msgspec

from wsfleet.errors import ConfigError

from .checks import LONGEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .latency import LatencyWindow
    from .pulse import Pulse


@dataclass(frozen=True, slots=True)
class HeartbeatHealth:
    """
    How the heartbeats do; times in seconds.

    Attributes:
        kind: the heartbeats' names, joined with "+".
        failures: peers that they found dead.
        last_heard: since the last answer, or None before the first.
        last_round_trip: the latest, or None.
        median_round_trip: over the window, or None.
        kinds: the names one by one.
    """

    kind: str
    failures: int
    last_heard: float | None
    last_round_trip: float | None
    median_round_trip: float | None
    kinds: tuple[str, ...] = ()


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


@runtime_checkable
class Watchful(Heartbeat, Protocol):
    """A heartbeat that consists of messages, which no handler is to see."""

    def takes(self, data: Any) -> bool:
        """
        Whether a message, decoded as JSON where it is that and text otherwise, is the
        heartbeat's; `Pulse.next` then returns it. Called for each message that comes in.

        Args:
            data: the message, decoded.
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
        check_seconds(interval=self.interval, timeout=self.timeout)

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


def check_seconds(**options: float | None) -> None:
    """
    Hold a heartbeat's times.

    Raises:
        ConfigError: one can never work.
    """
    for option, value in options.items():
        if value is not None and not 0 < value <= LONGEST:
            raise ConfigError(
                f"heartbeat {option}", "must be more than 0 seconds, and finite (100 years)"
            )


class HeartbeatRecord(msgspec.Struct, eq=False, gc=False):
    """What a client remembers of its heartbeats, over all its connections."""

    _window: LatencyWindow
    failures: int = 0
    _last_number: int = 0
    _heard_at: float | None = None

    def next_number(self) -> int:
        """Return a number that no earlier ping had."""
        self._last_number += 1
        return self._last_number

    def heard(self, now: float) -> None:
        """Take note of a beat."""
        self._heard_at = now

    def answered(self, round_trip: float, now: float) -> None:
        """Take note of an answer."""
        self._window.add(round_trip)
        self._heard_at = now

    def health(self, kinds: Sequence[str], now: float) -> HeartbeatHealth:
        """Return how they do at `now`."""
        stats = self._window.stats()
        return HeartbeatHealth(
            kind="+".join(kinds),
            failures=self.failures,
            last_heard=None if self._heard_at is None else now - self._heard_at,
            last_round_trip=None if stats is None else stats.last,
            median_round_trip=None if stats is None else stats.p50,
            kinds=tuple(kinds),
        )
