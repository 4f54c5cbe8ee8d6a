"""
A line of messages that wait until they may pass.

Rule 1: first come, first served; who waits is never overtaken but by what costs nothing.
Rule 2: only the first in line watches the clock.
Rule 3: who leaves the line, served or not, leaves nothing behind.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.lowlevel import checkpoint

from wsfleet.errors import ConfigError, RateLimitedError

from .binding import LoopBinding
from .fairness import BURST, yields_before_raising

if TYPE_CHECKING:
    from collections.abc import Callable

    from .ledgers import Ledger

_SOON: Final = 0.001
"""Seconds in which those pass who may; timers of event loops are no finer."""

_EXACT: Final = 32
"""
Waiting messages up to which the outlook is made anew whenever one leaves. Of a longer line it
is that of a moment ago, at most a part in so many of the line: to look ahead takes as long as
the line is.
"""


@dataclass(frozen=True, slots=True)
class LimiterStatus:
    """
    How a limiter does at this moment.

    Attributes:
        available: what is left of the capacity.
        retry_after: seconds until a message that costs 1 and comes now would pass, behind all
            that wait; 0.0 when it would pass at once.
        capacity: the most that can pass at once.
        waiting: messages in line.
    """

    available: float
    retry_after: float
    capacity: float
    waiting: int


class Line:
    """
    Lets messages pass by a ledger, in the order in which they came.

    Args:
        ledger: knows when how much may pass.
        cost: what a message costs; each costs 1 without it.
        counts_control: whether the pings and pongs that a client sends are to be counted too.
        shown: its repr.
    """

    def __init__(
        self,
        ledger: Ledger,
        cost: Callable[[Any], float] | None,
        *,
        counts_control: bool,
        shown: str,
    ) -> None:
        self.counts_control: bool = counts_control
        self._ledger = ledger
        self._cost = cost
        self._line: OrderedDict[anyio.Event, float] = OrderedDict()
        self._outlook: tuple[Ledger, float] | None = None  # kept: to look ahead costs time
        self._left = 0  # since the outlook was made
        self._seen = -math.inf
        self._home = LoopBinding("the limiter")
        self._passed = 0  # since the event loop had its turn
        self._shown = shown

    def __repr__(self) -> str:
        return self._shown

    @yields_before_raising
    async def acquire(self, message: Any, timeout: float | None = None) -> None:
        """
        Wait until the message may pass.

        Args:
            message: given to `cost`.
            timeout: seconds to wait at most; 0.0 does not wait, None waits as long as it takes.

        Raises:
            RateLimitedError: it cannot pass in time, or could not; at once where that can be
                foreseen.
            ConfigError: it costs more than ever can pass; nothing was taken.
            RuntimeError: those of another event loop wait for it; nothing was taken.

        Cancelling it takes nothing.
        """
        if self._passed >= BURST - 1:
            await checkpoint()
            self._passed = 0
        cost = self._cost_of(message)
        delay = self._pass(cost)
        if not delay:
            self._passed += 1
            return
        if timeout is not None and delay > timeout:
            raise RateLimitedError(delay)
        # What was foreseen holds: the deadline is for what was spent meanwhile.
        with anyio.move_on_after(None if timeout is None else timeout + _SOON):
            await self._stand_in_line(cost)
            return
        if delay := self._pass(cost):
            raise RateLimitedError(delay)

    def acquire_nowait(self, message: Any) -> None:
        """
        Let the message pass now.

        Args:
            message: given to `cost`.

        Raises:
            RateLimitedError: it may not pass now, or others wait; nothing was taken.
            ConfigError: it costs more than ever can pass; nothing was taken.
        """
        if delay := self._pass(self._cost_of(message)):
            raise RateLimitedError(delay)

    def spend(self, cost: float = 1.0) -> None:
        """
        Count what was sent without asking; may take more than there is, and others then wait
        longer.

        Args:
            cost: what it counts for.

        Raises:
            ConfigError: `cost` is negative, or no finite number.
        """
        if not 0 <= cost < math.inf:
            raise ConfigError("cost", f"must be 0 or more, and finite, not {cost!r}")
        self._take(cost, self._now())

    def status(self) -> LimiterStatus:
        """Return how it does at this moment."""
        now = self._now()
        capacity = self._ledger.capacity
        return LimiterStatus(
            available=self._ledger.available(now),
            retry_after=self._turn_of(min(1.0, capacity), now) - now,
            capacity=capacity,
            waiting=len(self._line),
        )

    def _cost_of(self, message: Any) -> float:
        if self._cost is None:
            return 1.0
        cost = self._cost(message)
        capacity = self._ledger.capacity
        if not 0 <= cost <= capacity:
            raise ConfigError(
                "cost",
                f"of a message is {cost!r}, and never can more than {capacity:g} pass at once; "
                "not sent",
            )
        return cost

    def _pass(self, cost: float) -> float:
        """Let it pass if it may; return the seconds until it may, 0.0 when it passed."""
        if not cost:
            return 0.0
        now = self._now()
        turn = self._turn_of(cost, now)
        if self._line:
            return max(turn - now, _SOON)
        if turn > now:
            return turn - now
        self._take(cost, now)
        return 0.0

    def _take(self, cost: float, now: float) -> None:
        self._ledger.take(cost, now)
        self._outlook = None

    async def _stand_in_line(self, cost: float) -> None:
        self._bind()
        place = anyio.Event()
        self._join(place, cost)
        try:
            if next(iter(self._line)) is not place:
                await place.wait()
            self._ledger.take(cost, await self._until_ready(cost))
        finally:
            self._leave(place)

    def _bind(self) -> None:
        """Hold those in line to one event loop: they wake each other up."""
        if self._line and self._home.is_stale:  # nobody is left to wait
            self._line.clear()
            self._outlook = None
        if not self._line:
            self._home.bind()
        self._home.check()

    async def _until_ready(self, cost: float) -> float:
        while True:  # what was spent meanwhile, or a timer that was early, makes it wait again
            now = self._now()
            turn = self._ledger.ready_at(cost, now)
            if turn <= now:
                return now
            await anyio.sleep(turn - now)

    def _join(self, place: anyio.Event, cost: float) -> None:
        if self._outlook is not None:
            turn = self._turn_of(cost, self._now())
            ahead = self._outlook[0]
            ahead.take(cost, turn)
            self._outlook = (ahead, turn)
        self._line[place] = cost

    def _leave(self, place: anyio.Event) -> None:
        self._line.pop(place, None)  # not there where its event loop was closed meanwhile
        self._left += 1
        if self._left * _EXACT >= len(self._line):
            self._outlook = None
        if self._line:
            next(iter(self._line)).set()

    def _turn_of(self, cost: float, now: float) -> float:
        """Return when a newcomer may pass: after all that wait, each as early as it may."""
        if not self._line:
            return self._ledger.ready_at(cost, now)
        if self._outlook is None:
            self._outlook = self._look_ahead(now)
        ahead, last = self._outlook
        return ahead.ready_at(cost, max(last, now))

    def _look_ahead(self, now: float) -> tuple[Ledger, float]:
        """Return what the ledger will be when all that wait have passed, and when that is."""
        ahead, last = self._ledger.copy(), now
        for cost in self._line.values():
            last = ahead.ready_at(cost, last)
            ahead.take(cost, last)
        self._left = 0
        return ahead, last

    def _now(self) -> float:
        now = anyio.current_time()
        if now < self._seen:  # the clock of another event loop
            self._ledger.shift(now - self._seen)
            self._outlook = None
        self._seen = now
        return now
