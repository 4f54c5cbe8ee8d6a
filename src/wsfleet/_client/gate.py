"""
Where a client asks its limiters.

Rule: the error of a limiter gets the client's name here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsfleet._wire.scrub import scrub
from wsfleet.errors import RateLimitedError

from .user_code import UserCode, crash_of, method_named, raise_stray

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
            scrub(error)
            raise
        except BaseException as error:
            raise_stray(error, method_named(self.limiter, "acquire"))
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
            scrub(error)
            raise
        except BaseException as error:
            raise_stray(error, method_named(self.limiter, "acquire_nowait"), is_sync=True)
            raise


async def turn_to_connect(
    limiter: Limiter | None, url: str, *, in_own_task: bool = False
) -> None:
    """
    Wait until a connection may be attempted.

    Raises:
        Exception: what the limiter raised.
    """
    if limiter is not None:
        with UserCode(method_named(limiter, "acquire"), in_own_task=in_own_task):
            await limiter.acquire(url)


def count_control(
    connection: Connection, limiter: Limiter | None, crash: Callable[[BaseException], None]
) -> None:
    """
    Count the connection's pings and pongs, where the limiter wants that; `crash` takes what the
    limiter raises, because the connection that calls it can do nothing about that.
    """
    if limiter is None:
        return

    def spend() -> None:
        try:
            limiter.spend()
        except BaseException as exc:  # noqa: BLE001 - a user's limiter; it reaches the owner
            crash(crash_of(exc, method_named(limiter, "spend"), is_sync=True))

    try:
        if limiter.counts_control:
            connection.on_control = spend
    except BaseException as exc:  # noqa: BLE001 - as above
        crash(crash_of(exc, type(limiter), is_sync=True))
