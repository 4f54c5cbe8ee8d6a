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

    def next_delay(self, retry_after: float | None = None) -> float | None:
        """
        Count one more failure and return the seconds to wait, or None to give up.

        Args:
            retry_after: seconds that the server asked for; the wait is at least that.
        """
        self.failures += 1
        if self._limit is not None and self.failures > self._limit:
            return None
        ceiling = min(self._cap, self._first * 2.0 ** min(self.failures - 1, _MAX_DOUBLINGS))
        delay = random.uniform(0.0, ceiling)  # noqa: S311 - spreads load, hides nothing
        if retry_after is not None:
            delay = max(delay, min(retry_after, MAX_RETRY_AFTER))
        return delay
