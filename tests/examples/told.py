from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable


class Told:
    """Stands in for `print`: keeps the lines, and lets a test wait for one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = anyio.Event()

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        more, self._more = self._more, anyio.Event()
        more.set()

    def __contains__(self, part: str) -> bool:
        return any(part in line for line in self.lines)

    async def until(self, condition: Callable[[], object], timeout: float = 10.0) -> None:
        """Return once something holds that depends on the lines."""
        with anyio.fail_after(timeout):
            while not condition():
                await self._more.wait()
