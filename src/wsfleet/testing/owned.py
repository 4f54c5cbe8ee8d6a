"""The part that all servers of the kit share: a thread while the `async with` block lasts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

import anyio

from .background import BackgroundLoop
from .virtual_time import time_is_virtual

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

STOP_TIMEOUT: Final = 1.0


class OwnedServer(ABC):
    """A server that listens in a thread of its own from the block's start to its end."""

    def __init__(self) -> None:
        self._loop = BackgroundLoop()

    @property
    @abstractmethod
    def url(self) -> str:
        """The address to connect to; it stays the same through `stop` and `start`."""

    @abstractmethod
    async def start(self) -> None:
        """Listen again after `stop`, on the same port."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop listening and reset every connection, as a killed process does."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    async def __aenter__(self) -> Self:
        """
        Listen on a free port.

        Raises:
            RuntimeError: time is virtual here; nothing would wait for a server.
        """
        if time_is_virtual():
            raise RuntimeError(
                f"{type(self).__name__} has real sockets, which virtual time does not wait for"
            )
        try:
            await self._loop.start()
            await self.start()
        except BaseException:
            await self._loop.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Reset what is open, end the thread, and raise what a script raised."""
        try:
            with anyio.move_on_after(STOP_TIMEOUT, shield=True):
                await self.stop()
        finally:
            await self._loop.stop()
        if error is None and (failure := self._script_failure()) is not None:
            raise failure

    def _script_failure(self) -> Exception | None:
        """Return what the test's own code raised on the server's loop."""
        return None
