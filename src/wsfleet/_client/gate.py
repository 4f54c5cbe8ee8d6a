"""
Where a client asks its limiters.

Rule: the error of a limiter gets the client's name here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

from wsfleet.errors import RateLimitedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsfleet._wire.connection import Connection

    from .limits import Limiter
    from .messages import Outgoing


class Gate:
    """
    What messages pass on their way out.

    Args:
        client: the client's name.
        limiter: decides.
        patience: seconds that a message waits at most, or None for as long as its sender does.
    """

    __slots__ = ("_client", "_patience", "limiter")

    def __init__(self, client: str, limiter: Limiter, patience: float | None) -> None:
        self._client = client
        self.limiter = limiter
        self._patience = patience

    async def enter(self, message: Outgoing, timeout: float) -> None:
        """
        Wait until the message may go out, for `timeout` seconds at most.

        Raises:
            RateLimitedError: it may not in time.
        """
        patience = timeout if self._patience is None else min(self._patience, timeout)
        try:
            await self.limiter.acquire(message.given, patience)
        except RateLimitedError as error:
            error.client = self._client
            raise

    def enter_nowait(self, message: Outgoing) -> None:
        """
        Let the message out now.

        Raises:
            RateLimitedError: it may not.
        """
        try:
            self.limiter.acquire_nowait(message.given)
        except RateLimitedError as error:
            error.client = self._client
            raise


async def turn_to_connect(
    limiter: Limiter | None, url: str, crash: Callable[[Exception], None]
) -> None:
    """Wait until a connection may be attempted; `crash` takes what a user's code raised."""
    if limiter is None:
        return
    try:
        await limiter.acquire(url)
    except Exception as exc:  # noqa: BLE001 - a user's limiter or cost; it reaches the owner
        crash(exc)
        await checkpoint()  # the crash has cancelled the attempt


def count_control(connection: Connection, limiter: Limiter | None) -> None:
    """Count the connection's pings and pongs, where the limiter wants that."""
    if limiter is not None and limiter.counts_control:
        connection.on_control = limiter.spend
