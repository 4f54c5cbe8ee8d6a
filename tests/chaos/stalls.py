"""When an event loop was late: what the machine took is not held against anybody."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_PROBE: Final = 0.005
"""Seconds between two looks."""


@dataclass(slots=True)
class Stalls:
    """
    The times in which an event loop was late.

    Attributes:
        spans: pairs of times: when a timer was due, and when it fired.
    """

    spans: list[tuple[float, float]] = field(default_factory=list)

    def lost(self, begin: float, end: float) -> float:
        """Return the seconds between two times in which the loop was late."""
        overlaps = (min(end, woke) - max(begin, due) for due, woke in self.spans)
        return sum(overlap for overlap in overlaps if overlap > 0)

    @property
    def worst(self) -> float:
        """Seconds of the longest one."""
        return max((woke - due for due, woke in self.spans), default=0.0)

    async def probe(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Look, without end; `sleep` is that of the event loop."""
        while True:
            due = time.monotonic() + _PROBE
            await sleep(_PROBE)
            woke = time.monotonic()
            if woke > due + _PROBE:
                self.spans.append((due, woke))
