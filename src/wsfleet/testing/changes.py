"""
Waiting for a condition without polling: whoever changes something says so.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Changes:
    """Wakes those who wait for a condition each time that something changed."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def note(self) -> None:
        """Say that something changed; only on the server's loop."""
        noted, self._next = self._next, asyncio.Event()
        noted.set()

    async def wait_until(self, condition: Callable[[], object], timeout: float | None) -> None:
        """
        Wait until the condition holds.

        Raises:
            TimeoutError: it did not within this many seconds.
        """
        async with asyncio.timeout(timeout):
            while not condition():
                await self._next.wait()
