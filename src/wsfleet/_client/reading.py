"""
Whether a client's connection is read while its inbox is full.

Rule 1: while an answer is awaited, a connection is read though the inbox has all the events
that it holds. The answer comes after them in the stream, and the loop that takes the events may
be the one that awaits the answer.
Rule 2: beyond `inbox_bytes` nothing is read until half of it was taken. The requests of users
fail at once. What wsfleet asks by itself (logins, restoring, heartbeats) waits until its own
deadline.
Rule 3: a connection that is being prepared is read as if an answer was awaited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsfleet.errors import BackpressureError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsfleet._wire.connection import Connection

    from .correlation import Correlation


class Reading:
    """
    Pauses and resumes the connection in use, and the one that is being prepared.

    Args:
        requests: those in flight.
        inbox_bytes: what the inbox holds at most, for errors.
        starve: called when answers cannot be read, with what makes the errors of those who
            await them.
    """

    __slots__ = (
        "_connection",
        "_full",
        "_in_use",
        "_inbox_bytes",
        "_requests",
        "_starve",
        "over",
    )

    def __init__(
        self,
        requests: Correlation,
        inbox_bytes: int,
        starve: Callable[[Callable[[], Exception]], None],
    ) -> None:
        self.over: bool = False  # beyond `inbox_bytes`, or was, and half was not taken yet
        self._connection: Connection | None = None
        self._in_use = False
        self._full = False
        self._requests = requests
        self._inbox_bytes = inbox_bytes
        self._starve = starve

    @property
    def paused(self) -> bool:
        """Whether nothing is to be read now."""
        return self.over or (self._full and self._in_use and not self._requests.awaited)

    @property
    def possible(self) -> bool:
        """Whether there is a connection that can be paused; one that has ended is read on."""
        return self._connection is not None and self._connection.open

    # what the inbox tells

    def hold(self, *, over: bool) -> None:
        """
        The inbox is full.

        Args:
            over: whether it has more than its bytes, not only all the events that it holds.
        """
        begins = over and not self.over
        self._full = True
        self.over = over or self.over
        self._requests.held = self
        self._apply()
        if begins:
            self._starve(self._unread)

    def ease(self) -> None:
        """Half of the bytes of the inbox were taken; it may still be full."""
        self.over = False
        self._apply()

    def release(self) -> None:
        """The inbox has room."""
        self._full = self.over = False
        self._requests.held = None
        self._apply()

    def _unread(self) -> BackpressureError:
        return BackpressureError(self._requests.client, self._inbox_bytes, None)

    # what those tell who await answers

    def refuse(self) -> None:
        """
        Refuse a request whose answer could not be read.

        Raises:
            BackpressureError: it was not sent.
        """
        if self.over:
            raise BackpressureError(self._requests.client, self._inbox_bytes, False)

    def read_on(self) -> None:
        """An answer is awaited from now on."""
        self._apply()

    # connections

    def prepare(self, connection: Connection) -> None:
        """A connection is being prepared: it is read until it fills the inbox by itself."""
        self._connection = connection
        self._in_use = False

    def begin(self) -> None:
        """The connection that was prepared is in use from here on."""
        self._in_use = True
        self._apply()

    def end(self) -> None:
        """It is not in use any more."""
        self._connection = None

    def _apply(self) -> None:
        connection = self._connection
        if connection is None or connection.paused == self.paused:
            return
        if connection.paused:
            connection.resume_reading()
        elif connection.open:  # else the peer's close frame could not be read
            connection.pause_reading()
