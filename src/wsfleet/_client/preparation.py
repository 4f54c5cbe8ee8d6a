"""
What happens on a new connection before its client counts as connected: the login, the venue's
calls, and the restoring of subscriptions.

Rule 1: a message routed to a connected client finds its session ready, so all of it comes
before that, or the attempt to connect has failed.
Rule 2: every step has a deadline of its own.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from wsfleet.errors import (
    ConnectError,
    ConnectTimeoutError,
    RateLimitedError,
    SendError,
    SessionRejectedError,
    WsfleetError,
)

from .authentication import Authentication, refused
from .user_code import raised_by_user
from .words import words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from .dialogue import Dialogue
    from .subscriptions import Subscriptions
    from .venue import Call, Venue


class Restored(NamedTuple):
    """
    What became of the channels on a new connection.

    Attributes:
        restored: those that are subscribed again, how many.
        rejected: those that the venue refused, each with its words.
        seconds: what that took.
    """

    restored: int
    rejected: dict[str, str]
    seconds: float


class Preparation:
    """
    Prepares the connections of one client.

    Args:
        url: where they lead, without its secrets.
        venue: what it wants.
        subscriptions: to be restored.
        timeout: seconds for each call and each batch of channels.
        unread: called with a function that failed to read, and what it raised.
    """

    __slots__ = ("_authentication", "_subscriptions", "_timeout", "_url", "_venue")

    def __init__(
        self,
        url: str,
        venue: Venue,
        subscriptions: Subscriptions,
        timeout: float,
        unread: Callable[[object, BaseException], object],
    ) -> None:
        self._url = url
        self._venue = venue
        self._subscriptions = subscriptions
        self._timeout = timeout
        self._authentication = (
            None
            if venue.login is None
            else Authentication(venue.login, url, venue.temporary, unread)
        )

    @property
    def needed(self) -> bool:
        """Whether there is anything to do."""
        if self._authentication is not None or self._venue.calls:
            return True
        return bool(self._subscriptions.channels.held())

    async def run(self, dialogue: Dialogue, clock: Callable[[], float]) -> Restored | None:
        """
        Prepare a connection; return what was restored, or None where there was nothing to.

        Raises:
            SessionRejectedError: the server refused a step.
            ConnectTimeoutError: a step took too long.
            SendError: the connection has ended.
        """
        if self._authentication is not None:
            await self._within("the login", self._authentication.begin(dialogue), dialogue)
        for call in self._venue.calls:
            await self._within(_name_of(call), self._make(dialogue, call), dialogue)
        if not self._subscriptions.channels.held():
            return None
        began = clock()
        restoring = self._subscriptions.restore(dialogue, self._timeout)
        step = "restoring subscriptions"
        count, rejected = await self._within(step, restoring, dialogue)
        return Restored(count, rejected, round(clock() - began, 6))

    async def keep(self, dialogue: Dialogue) -> None:
        """
        Keep the session for as long as its connection lasts; return where nothing needs that.

        Raises:
            SessionRejectedError: the login could not be renewed.
            TimeoutError: the server did not answer in time.
            SendError: the connection has ended.
        """
        if self._authentication is not None:
            with self._boundary("login"):
                await self._authentication.keep(dialogue)

    @contextmanager
    def _boundary(self, step: str) -> Iterator[None]:
        """Refuse the session for what was raised by what the server sent."""
        try:
            yield
        except (ConnectError, SendError, TimeoutError):
            raise
        except Exception as exc:
            if raised_by_user(exc):
                raise
            detail = str(exc) if isinstance(exc, WsfleetError) else type(exc).__name__
            raise SessionRejectedError(self._url, step, detail, None, True) from exc

    async def _within(self, step: str, doing: Awaitable[Any], dialogue: Dialogue) -> Any:
        try:
            with self._boundary(step):
                return await doing
        except TimeoutError:
            detail = f"{step} had no answer in time"
            if dialogue.unread:
                detail += ": the inbox is full, and its events were not taken"
        except RateLimitedError as error:
            wait = f"{error.retry_after:.3g} s more"
            detail = f"{step} was held up by the rate limit, for {wait}"
        # Raised here, the error does not keep what was being sent as its context.
        raise ConnectTimeoutError(self._url, detail)

    async def _make(self, dialogue: Dialogue, call: Call) -> None:
        response = await dialogue.ask(call, self._timeout)
        error = response.get("error")
        if error is not None:
            raise refused(self._url, _name_of(call), error, self._venue.temporary)


def _name_of(call: Call) -> str:
    return words(call.get("method", "a call"))
