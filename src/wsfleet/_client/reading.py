"""
Whether a client's connection is read while its inbox is full.

Rule: a connection that is being prepared is read whatever the inbox says. The answer to a login
waits in the same stream as the events, and who takes those may wait for the login.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsfleet._wire.connection import Connection


class Reading:
    """Pauses the connection in use, and the next one as soon as it is in use."""

    __slots__ = ("_connection", "_paused")

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._paused = False

    def pause(self) -> None:
        """Take no more from the network for now."""
        self._paused = True
        if self._connection is not None:
            self._connection.pause_reading()

    def resume(self) -> None:
        """Take from the network again."""
        self._paused = False
        if self._connection is not None:
            self._connection.resume_reading()

    def begin(self, connection: Connection) -> None:
        """Take note of a connection that is in use from here on."""
        self._connection = connection
        if self._paused:
            connection.pause_reading()

    def end(self) -> None:
        """Take note that it is not in use any more."""
        self._connection = None
