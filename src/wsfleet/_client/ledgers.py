"""
What limiters have let through, as numbers: no clock, no waiting.

Rule: `now` never goes back between two calls, but for `shift`.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from typing import Self

_INSTANT: Final = 1e-9
"""Seconds that only rounding makes."""

_CRUMB: Final = 1e-9
"""Cost that only rounding makes."""


class Ledger(Protocol):
    """How much may pass, and when; times in seconds."""

    capacity: float

    def ready_at(self, cost: float, now: float) -> float:
        """Return the earliest time, from `now` on, at which so much may pass."""

    def take(self, cost: float, now: float) -> None:
        """Take note that so much passed, whether it was ready or not."""

    def available(self, now: float) -> float:
        """Return how much may pass at once."""

    def shift(self, seconds: float) -> None:
        """Go over to another clock: what was noted happened so much later on it."""

    def copy(self) -> Self:
        """Return another one that knows the same."""


class BucketLedger:
    """Tokens that flow in without a pause, and overflow at the brim."""

    __slots__ = ("_at", "_level", "_rate", "capacity")

    def __init__(self, capacity: float, rate: float) -> None:
        self.capacity = capacity
        self._rate = rate
        self._level = capacity
        self._at = -math.inf

    def _level_at(self, now: float) -> float:
        return min(self.capacity, self._level + (now - self._at) * self._rate)

    def ready_at(self, cost: float, now: float) -> float:
        """Return when there are so many tokens."""
        delay = (cost - self._level_at(now)) / self._rate
        return now + delay if delay > _INSTANT else now

    def take(self, cost: float, now: float) -> None:
        """Take tokens, even those that are still to come."""
        self._level = self._level_at(now) - cost
        self._at = now

    def available(self, now: float) -> float:
        """Return how many tokens there are."""
        return max(0.0, self._level_at(now))

    def shift(self, seconds: float) -> None:
        """Go over to another clock."""
        self._at += seconds

    def copy(self) -> BucketLedger:
        """Return another bucket, as full as this."""
        twin = BucketLedger(self.capacity, self._rate)
        twin._level, twin._at = self._level, self._at
        return twin


class WindowLedger:
    """Everything that passed within the last so many seconds."""

    __slots__ = ("_passed", "_seconds", "_used", "capacity")

    def __init__(self, capacity: float, seconds: float) -> None:
        self.capacity = capacity
        self._seconds = seconds
        self._passed: deque[tuple[float, float]] = deque()
        self._used = 0.0

    def ready_at(self, cost: float, now: float) -> float:
        """Return when enough of what passed is out of every window."""
        excess = self._used + cost - self.capacity
        free_at = now
        for at, passed in self._passed:
            if excess <= _CRUMB:
                break
            excess -= passed
            free_at = at + self._seconds
        return max(now, free_at)

    def take(self, cost: float, now: float) -> None:
        """Take note of what passed."""
        self._forget(now)
        self._passed.append((now, cost))
        self._used += cost

    def available(self, now: float) -> float:
        """Return what the window that ends now leaves."""
        self._forget(now)
        return max(0.0, self.capacity - self._used)

    def _forget(self, now: float) -> None:
        passed = self._passed
        while passed and passed[0][0] + self._seconds <= now:
            self._used -= passed.popleft()[1]
        if not passed:
            self._used = 0.0  # what rounding left

    def shift(self, seconds: float) -> None:
        """Go over to another clock."""
        self._passed = deque((at + seconds, cost) for at, cost in self._passed)

    def copy(self) -> WindowLedger:
        """Return another one with the same memory."""
        twin = WindowLedger(self.capacity, self._seconds)
        twin._passed, twin._used = self._passed.copy(), self._used
        return twin
