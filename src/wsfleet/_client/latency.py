"""Round trips over a bounded window; percentiles are exact over what the window holds."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class LatencyStats:
    """
    Round trips in seconds.

    Attributes:
        p50: the median.
        p99: the 99th percentile.
        last: the latest.
        count: how many the window holds.
    """

    p50: float
    p99: float
    last: float
    count: int


class LatencyWindow(msgspec.Struct, eq=False, gc=False):
    """Keeps the latest `size` samples."""

    _size: int
    _samples: deque[float] | None = None  # an idle connection does without

    def add(self, seconds: float) -> None:
        """Remember one round trip."""
        if self._samples is None:
            self._samples = deque(maxlen=self._size)
        self._samples.append(seconds)

    def stats(self) -> LatencyStats | None:
        """Return what the window says, or None while it is empty."""
        if not self._samples:
            return None
        ordered = sorted(self._samples)
        return LatencyStats(
            p50=percentile(ordered, 50),
            p99=percentile(ordered, 99),
            last=self._samples[-1],
            count=len(ordered),
        )


def percentile(ordered: list[float], percent: float) -> float:
    """
    Return the nearest-rank percentile: the smallest sample that `percent` of all do not exceed.
    """
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(rank, 1) - 1]
