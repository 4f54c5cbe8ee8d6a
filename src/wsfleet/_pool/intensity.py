"""
How many crashes are too many, counted as OTP's supervisors count restarts (`supervisor` manual,
"Maximum Restart Intensity").
"""

from __future__ import annotations

from collections import deque

from wsfleet._client.checks import LONGEST
from wsfleet.errors import ConfigError


class RestartIntensity:
    """
    Counts crashes over a sliding window.

    Args:
        max_restarts: crashes that are tolerated within the window.
        max_seconds: its length.

    Raises:
        ConfigError: a number that can never work.
    """

    __slots__ = ("_crashes", "max_restarts", "max_seconds")

    def __init__(self, max_restarts: int, max_seconds: float) -> None:
        if max_restarts < 0:
            raise ConfigError("max_restarts", f"must be 0 or more, not {max_restarts!r}")
        if not 0 < max_seconds <= LONGEST:
            raise ConfigError("max_seconds", "must be more than 0 seconds, and finite")
        self.max_restarts = max_restarts
        self.max_seconds = max_seconds
        self._crashes: deque[float] = deque()

    def count(self, now: float) -> bool:
        """Count a crash at `now`; False when it is one too many."""
        self._crashes.append(now)
        while now - self._crashes[0] > self.max_seconds:
            self._crashes.popleft()
        return len(self._crashes) <= self.max_restarts
