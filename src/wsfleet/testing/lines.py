"""
What is wrong with one direction of a line: slow, narrow, held up, cut.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["to_server", "to_client"]


class FaultyLine:
    """One direction of every connection through a `FaultProxy`; without faults at first."""

    def __init__(self, direction: Direction) -> None:
        self.direction: Direction = direction
        self._latency = 0.0
        self._bandwidth: float | None = None
        self._left: int | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()

    @property
    def latency(self) -> float:
        """How long every byte is under way, in seconds."""
        return self._latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        if not 0 <= seconds < math.inf:
            raise ValueError(f"latency must be seconds, 0 or more, not {seconds!r}")
        self._latency = seconds

    @property
    def bandwidth(self) -> float | None:
        """Bytes per second of each connection; None for no limit."""
        return self._bandwidth

    @bandwidth.setter
    def bandwidth(self, bytes_per_second: float | None) -> None:
        if bytes_per_second is not None and not bytes_per_second > 0:
            raise ValueError(
                f"bandwidth must be more than 0 bytes per second, not {bytes_per_second!r}; "
                "`freeze` lets nothing through"
            )
        self._bandwidth = bytes_per_second

    def cut_after(self, count: int) -> None:
        """Let so many further bytes pass, of all connections together."""
        if count < 0:
            raise ValueError(f"a line cannot be cut after {count} bytes")
        self._left = count

    def hold(self) -> None:
        """Let nothing through; only on the proxy's loop."""
        self._flowing.clear()

    def release(self) -> None:
        """Let everything through; only on the proxy's loop."""
        self._flowing.set()

    async def until_flowing(self) -> None:
        """Wait while nothing may pass."""
        await self._flowing.wait()

    def allowed(self, data: bytes) -> bytes:
        """Return the part of this data that may still pass."""
        if self._left is None:
            return data
        passed = data[: self._left]
        self._left -= len(passed)
        return passed

    def is_cut(self) -> bool:
        """Tell, once, that the last byte has passed."""
        if self._left != 0:
            return False
        self._left = None
        return True


Lines: TypeAlias = Mapping[Direction, FaultyLine]
