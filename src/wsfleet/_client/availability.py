"""
The definition of "connected", for all that asks for it: a message can be handed over now.

The phase of a client follows later: the socket may be lost before the client's task has run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

from wsfleet._wire.signals import Changes
from wsfleet.errors import NotConnectedError

from .states import ENDED, ClientState, Phase

if TYPE_CHECKING:
    from wsfleet._wire.connection import Connection


class Availability:
    """
    Whether a client can be sent through, and the wait for it.

    Args:
        name: the client's.

    Attributes:
        phase: where in its life the client is.
        connection: the one in use, or None; it may have ended already.
        generation: how many connections have been in use.
    """

    __slots__ = ("_error", "_moved", "_name", "connection", "generation", "phase")

    def __init__(self, name: str) -> None:
        self.phase: Phase = Phase.NEW
        self.connection: Connection | None = None
        self.generation: int = 0
        self._name = name
        self._moved = Changes()  # the phase
        self._error: Exception | None = None

    @property
    def alive(self) -> bool:
        """Whether a task runs the client."""
        return self.phase not in ENDED

    @property
    def usable(self) -> Connection | None:
        """The connection to which a message can be handed over now, or None."""
        connection = self.connection
        return connection if connection is not None and connection.open else None

    @property
    def state(self) -> ClientState:
        """How users see it."""
        connection = self.connection  # as `usable`, without a call: routing asks often
        if connection is not None and connection.open:
            return ClientState.CONNECTED
        state = self.phase.state
        return ClientState.DISCONNECTED if state is ClientState.CONNECTED else state

    async def until_connected(self, after_generation: int = -1) -> None:
        """
        Return when a connection later than `after_generation` is usable.

        Raises:
            NotConnectedError: no task runs the client, or it was closed meanwhile.
            ConnectError: no connection could be opened, for good.
            DisconnectedError: the last connection was lost, for good.
        """
        await checkpoint()
        while self.usable is None or self.generation == after_generation:
            if not self.alive:
                if self._error is not None:  # once more: its traceback is not to grow
                    raise self._error.with_traceback(None)
                raise NotConnectedError(self._name, "closed")
            await self._moved.next()
