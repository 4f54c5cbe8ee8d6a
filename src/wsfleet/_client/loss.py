"""Why there is no connection, which decides whether and when to try again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wsfleet._wire.scrub import scrub
from wsfleet.errors import ConnectError, DisconnectedError, SessionRejectedError

if TYPE_CHECKING:
    from wsfleet._wire.connection import Ending


class Loss(NamedTuple):
    """
    One attempt that failed, or one connection that ended.

    Attributes:
        error: what to raise if this was the last try.
        clean: whether both sides said goodbye.
        recoverable: whether trying again can help.
        retry_after: seconds to wait at least, as the server asked, or None.
    """

    error: ConnectError | DisconnectedError
    clean: bool
    recoverable: bool
    retry_after: float | None

    @property
    def cause(self) -> str:
        """What happened, in few words."""
        if isinstance(self.error, ConnectError):
            return self.error.detail
        return self.error.reason or f"closed with code {self.error.code}"


def refused(error: ConnectError) -> Loss:
    """Return what it means that no connection could be opened."""
    retry_after = getattr(error, "retry_after", None)
    return Loss(scrub(error), False, error.recoverable, retry_after)


def unprepared(url: str, ending: Ending) -> Loss:
    """Return what it means that a connection ended before it could be used."""
    what = ending.reason or f"closed with code {ending.code}"
    detail = f"the connection ended before it was ready: {what}"
    return refused(SessionRejectedError(url, "session", detail, ending.code, True))


def ended(name: str, ending: Ending) -> Loss:
    """Return what it means that the connection of the client `name` ended."""
    error = DisconnectedError(name, ending.code, ending.reason)
    return Loss(error, ending.clean, True, None)
