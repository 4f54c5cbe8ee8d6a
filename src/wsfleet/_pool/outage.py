"""
Outages of the local network: told apart from those of servers, and waited for without a herd.

Rule 1: the network is down when clients of at least two unrelated hosts, and more than half of
those that were connected, are lost within `WITHIN` seconds, each without a close frame.
Rule 2: while it is down, one attempt for each host and second tries whether it works again; the
other clients wait, and no failure counts.
Rule 3: it works again with the first attempt that anything on the other side answers.
"""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio

from wsfleet._client.limits import SlidingWindow

from .hosts import host_of, owner_of, proves_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsfleet._client.backoff import Backoff
    from wsfleet._client.interruption import Interruption
    from wsfleet._log import Log
    from wsfleet.errors import ConnectError

WITHIN: Final = 2.0
"""Seconds within which the clients have to be lost."""

PROBE_EVERY: Final = 1.0
"""Seconds between two attempts at one host while the network is down."""

RELEASE_EACH: Final = 0.01
"""Seconds over which the clients return after an outage, for each of them."""

RELEASE_MOST: Final = 5.0
"""Seconds over which all of them return at most."""


class _Lost(NamedTuple):
    """One client that was lost, with the count of its failures at that moment."""

    at: float
    member: Member
    interruption: Interruption
    backoff: Backoff
    failures: int

    def excuse(self) -> None:
        """Take from the client what the network is to blame for."""
        self.interruption.blame_network()
        self.backoff.failures = self.failures


class Outage:
    """
    Whether the local network of a fleet is down.

    Args:
        connected: returns how many clients are connected.
        log: the supervisor's.
    """

    def __init__(self, connected: Callable[[], int], log: Log) -> None:
        self.offline: bool = False
        self.ended: float = -math.inf  # the last one, by the clock of the event loop
        self._connected = connected
        self._log = log
        self._since = 0.0
        self._lost: deque[_Lost] = deque()
        # Counted as they come and go: a fleet of thousands may be lost at once.
        self._members: Counter[Member] = Counter()
        self._owners: Counter[str] = Counter()
        self._probes: dict[str, SlidingWindow] = {}
        self._resting: set[anyio.CancelScope] = set()
        self._held: set[anyio.CancelScope] = set()
        self._spread = 0.0

    def member(self, url: str) -> Member:
        """Return the view of a new client that connects to a URL."""
        return Member(self, host_of(url))

    def lost(self, loss: _Lost) -> None:
        """Record a loss."""
        if self.offline:
            loss.excuse()
            return
        self._count(loss, 1)
        self._lost.append(loss)
        while loss.at - self._lost[0].at > WITHIN:
            self._count(self._lost.popleft(), -1)
        if len(self._owners) > 1 and len(self._members) > self._connected():
            self._go_offline(loss.at)

    def _count(self, loss: _Lost, by: int) -> None:
        member = loss.member
        self._members[member] += by
        self._owners[member.owner] += by
        if not self._members[member]:
            del self._members[member]
        if not self._owners[member.owner]:
            del self._owners[member.owner]

    def _forget(self) -> None:
        self._lost.clear()
        self._members.clear()
        self._owners.clear()

    def _go_offline(self, now: float) -> None:
        self.offline, self._since = True, now
        self._log.warning(
            "fleet.offline",
            lost=len(self._members),
            clients=len(self._members) + self._connected(),
            hosts=len({member.host for member in self._members}),
        )
        for loss in self._lost:
            loss.excuse()
        self._forget()
        self._probes.clear()
        for scope in self._resting:
            scope.cancel()

    def proved(self) -> None:
        """Record that the network works."""
        if self._lost:
            self._forget()
        if not self.offline:
            return
        self.offline, self.ended = False, anyio.current_time()
        self._log.info("fleet.online", seconds=round(self.ended - self._since, 3))
        self._spread = min(RELEASE_MOST, RELEASE_EACH * len(self._held))
        for scope in self._held:
            scope.cancel()

    async def rest(self, seconds: float) -> None:
        """Wait for a time; an outage that begins meanwhile ends it."""
        with anyio.CancelScope() as scope:
            self._resting.add(scope)
            try:
                await anyio.sleep(seconds)
            finally:
                self._resting.discard(scope)

    async def probe(self, host: str) -> None:
        """Return when it is time for an attempt at a host, or the network works again."""
        while self.offline:
            with anyio.CancelScope() as scope:
                self._held.add(scope)
                try:
                    await self._pace(host).acquire(host)
                    return
                finally:
                    self._held.discard(scope)
            await anyio.sleep(random.uniform(0.0, self._spread))  # noqa: S311 - spreads load

    def _pace(self, host: str) -> SlidingWindow:
        return self._probes.setdefault(host, SlidingWindow(1, PROBE_EVERY))


class Member:
    """
    One client of a fleet; satisfies `LocalNetwork`.

    Args:
        outage: of the fleet.
        host: what the client connects to.
    """

    __slots__ = ("_has_turn", "_outage", "host", "owner")

    def __init__(self, outage: Outage, host: str) -> None:
        self.host: str = host
        self.owner: str = owner_of(host)
        self._outage = outage
        self._has_turn = False

    @property
    def offline(self) -> bool:
        return self._outage.offline

    def excuses(self, began: float, error: Exception) -> bool:
        if self.offline:
            return True
        return began < self._outage.ended and not proves_network(self.host, error)

    async def rest(self, seconds: float) -> None:
        if not self.offline:
            await self._outage.rest(seconds)
        self._has_turn = False
        await self.turn()

    async def turn(self) -> bool:
        # A client has its turn before it waits for a limiter; one that waited for the limiter
        # when the outage began has it afterwards.
        if not self.offline or self._has_turn:
            return False
        await self._outage.probe(self.host)
        self._has_turn = self.offline
        return True

    def attempted(self, error: ConnectError | None) -> None:
        self._has_turn = False
        if error is None or proves_network(self.host, error):
            self._outage.proved()

    def closed(self) -> None:
        self._outage.proved()

    def lost(self, interruption: Interruption, backoff: Backoff) -> None:
        now = anyio.current_time()
        self._outage.lost(_Lost(now, self, interruption, backoff, backoff.failures))
