"""
How fit a client is for the next message, 0-100.

100, less 10 a pending request (40 at most), less 1 for each 25 ms of recent worst latency (30
at most), less 15 a recent error (20 at most). "Recent" fades by half every second: a client
with a few slow replies, or freshly back, has its share again within seconds.

A client whose write buffer is full has a 25th of that: at most 4, and less than any other,
which has 10 at least. Its peer does not take what is sent.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

HALF_LIFE: Final = 1.0
"""Seconds in which what is recent counts half."""

_PER_PENDING, _MOST_PENDING = 10.0, 40.0
_PER_SECOND, _MOST_LATENCY = 40.0, 30.0
_PER_ERROR, _MOST_ERRORS = 15.0, 20.0
_COSTLIEST: Final = _MOST_LATENCY / _PER_SECOND

FULL_SHARE: Final = 1 / 25
"""What a client keeps of its health while its write buffer is full."""

MOST_WHEN_FULL: Final = 100.0 * FULL_SHARE
"""The health that no client exceeds whose write buffer is full."""


class Health(msgspec.Struct, eq=False, gc=False):
    """Remembers the recent past in three numbers; every call is O(1)."""

    errors: int = 0
    _at: float = 0.0
    _worst: float = 0.0
    _errors: float = 0.0

    def answered(self, seconds: float, now: float) -> None:
        """Take note of a round trip."""
        # More than costs points would only take longer to fade.
        costly = min(seconds, _COSTLIEST)
        if costly > self._worst * self._fading(now):  # else it leaves nothing to remember
            self._fade(now)
            self._worst = costly

    def failed(self, now: float) -> None:
        """Take note of a request without an answer, or a connection lost."""
        self._fade(now)
        self.errors += 1
        self._errors = min(self._errors + 1.0, _MOST_ERRORS / _PER_ERROR)

    def score(self, pending: int, now: float, *, full: bool = False) -> float:
        """
        Return the health at `now`.

        Args:
            pending: requests in flight.
            now: by the clock of the event loop.
            full: whether the write buffer is full.
        """
        # What is remembered was held to its most when it was noted.
        past = (_PER_SECOND * self._worst + _PER_ERROR * self._errors) * self._fading(now)
        present = _PER_PENDING * pending
        score = 100.0 - past - min(_MOST_PENDING, present)
        return score * FULL_SHARE if full else score

    def _fading(self, now: float) -> float:
        return math.exp2((self._at - now) / HALF_LIFE) if now > self._at else 1.0

    def _fade(self, now: float) -> None:
        fading = self._fading(now)
        self._worst *= fading
        self._errors *= fading
        self._at = now
