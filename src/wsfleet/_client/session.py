"""
Serves one connection: moves its bytes, beats its heart, and sees it to its end.

Knows nothing of the connections before and after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio

from wsfleet._wire.frames import CloseCode

if TYPE_CHECKING:
    from wsfleet._wire.connection import Connection, Ending

    from .heartbeat import Heartbeat, Pulse


class Owner(Protocol):
    """Whose connection is served."""

    def on_ended(self, ending: Ending) -> float:
        """
        Take note that it can no longer be used; return the seconds that the peer has for its
        goodbye.
        """

    def on_dead(self) -> None:
        """Take note that the heartbeat gave the peer up."""

    def crash(self, error: Exception) -> None:
        """Take note of what a user's heartbeat raised."""


async def serve(
    connection: Connection, owner: Owner, heartbeat: Heartbeat | None, pulse: Pulse
) -> None:
    """
    Serve a connection until its socket is gone.

    Cancelling it says goodbye without waiting for the peer's.
    """
    async with anyio.create_task_group() as tasks:
        if connection.pumped:
            tasks.start_soon(connection.pump)
        if heartbeat is not None:
            tasks.start_soon(_beat, connection, owner, heartbeat, pulse)
        try:
            connection.start()
            await connection.ended()
        finally:
            connection.close(CloseCode.GOING_AWAY)
            assert connection.ending is not None
            close_timeout = owner.on_ended(connection.ending)
            # When cancelled this does not wait, but frees the socket all the same.
            await connection.finish(close_timeout)
        tasks.cancel_scope.cancel()


async def _beat(
    connection: Connection, owner: Owner, heartbeat: Heartbeat, pulse: Pulse
) -> None:
    try:
        await heartbeat.run(pulse)
    except Exception as exc:  # noqa: BLE001 - may be a user's heartbeat; it reaches the owner
        owner.crash(exc)
        return
    owner.on_dead()
    connection.abort("heartbeat missed: the peer is silent")
