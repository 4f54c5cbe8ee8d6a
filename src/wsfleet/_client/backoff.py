"""
How long to wait before the next try, and when to give up.

Exponential backoff with full jitter: `random(0, min(cap, first * 2**(n - 1)))` before the n-th
retry in a row (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import random
from typing import Final

import msgspec

MAX_RETRY_AFTER: Final = 3600.0
"""Seconds; a server that asks for more than an hour is asked again after one."""

SPREAD: Final = 0.1
"""Part of the time that a server asked for, over which those whom it told return."""

_MAX_DOUBLINGS: Final = 64  # beyond it a float gains nothing, and 2**n could overflow one


class Backoff(msgspec.Struct, eq=False, gc=False):
    """
    Counts failures in a row.

    Args:
        first: seconds, the longest wait before the first retry.
        cap: seconds, the longest wait before any.
        limit: retries in a row before giving up; None never gives up.
    """

    _first: float
    _cap: float
    _limit: int | None
    failures: int = 0

    def reset(self) -> None:
        """Forget past failures."""
        self.failures = 0

    def next_delay(
        self, retry_after: float | None = None, *, counted: bool = True
    ) -> float | None:
        """
        Count one more failure and return the seconds to wait, or None to give up.

        Args:
            retry_after: seconds that the server asked for; the wait is at least that, and
                longer by a random time, so that all whom it told do not return at once.
            counted: whether the failure counts; with False, there is always a next try.
        """
        if counted:
            self.failures += 1
            if self._limit is not None and self.failures > self._limit:
                return None
        doublings = min(max(self.failures - 1, 0), _MAX_DOUBLINGS)
        ceiling = min(self._cap, self._first * 2.0**doublings)
        asked = 0.0
        if retry_after is not None and retry_after > 0.0:  # not so for "not a number"
            asked = min(retry_after, MAX_RETRY_AFTER)
            ceiling = max(ceiling, SPREAD * asked)
        return asked + random.uniform(0.0, ceiling)  # noqa: S311 - spreads load, hides nothing
