"""The view that a client of a fleet has of the local network; see `_pool/outage.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wsfleet.errors import ConnectError

    from .backoff import Backoff
    from .interruption import Interruption


class LocalNetwork(Protocol):
    """What decides for one client whether the network that it uses works."""

    @property
    def offline(self) -> bool:
        """Whether the local network is down, so that failures say nothing about servers."""

    def excuses(self, began: float, error: Exception) -> bool:
        """
        Return whether the network, and not the server, is to blame for the failure of an
        attempt that began at a time of the event loop's clock.
        """

    async def rest(self, seconds: float) -> None:
        """Wait before an attempt: for a time, and while the network is down, for a turn."""

    async def turn(self) -> bool:
        """
        Wait for a turn directly before an attempt, where the network is down; return whether it
        was waited for.
        """

    def attempted(self, error: ConnectError | None) -> None:
        """Record how an attempt to connect has ended; None where it opened a connection."""

    def closed(self) -> None:
        """Record that a close frame of the server has come."""

    def lost(self, interruption: Interruption, backoff: Backoff) -> None:
        """Record that a connection in use ended although nobody asked for that."""
