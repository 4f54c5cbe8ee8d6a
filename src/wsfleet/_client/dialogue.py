"""
What wsfleet itself says to a server over one connection: logins, subscriptions, heartbeats.

Rule 1: none of it counts as a user's request, or in the latency of those.
Rule 2: it passes the client's limiter as users' messages do, but waits for its turn; what must
not wait is counted all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from wsfleet.errors import NotConnectedError, RateLimitedError

from .deadline import Deadline
from .messages import outgoing
from .user_code import UserCode, call

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from wsfleet._wire.connection import Connection

    from .clock import NewWaiter
    from .correlation import Correlation
    from .limits import Limiter
    from .messages import Outgoing, Sendable
    from .venue import Call


class Dialogue:
    """
    Talks over one connection.

    Args:
        connection: the one.
        requests: those in flight on its client.
        limiter: what messages pass first, or None.
        new_waiter: makes waiters for the running event loop.
    """

    __slots__ = ("_connection", "_limiter", "_new_waiter", "_requests")

    def __init__(
        self,
        connection: Connection,
        requests: Correlation,
        limiter: Limiter | None,
        new_waiter: NewWaiter,
    ) -> None:
        self._connection = connection
        self._requests = requests
        self._limiter = limiter
        self._new_waiter = new_waiter

    async def ask(self, call: Call, timeout: float) -> dict[str, Any]:
        """
        Make a call and return the response, whatever it says.

        Args:
            call: the message, without its id.
            timeout: seconds for the response.

        Raises:
            TimeoutError: no response in time.
            DisconnectedError: the connection ended first.
            NotConnectedError: not sent: it had ended before.
            RateLimitedError: not sent: its turn does not come in time.

        Cancelling it stops the waiting; a late response is ignored.
        """
        await self.turn(call, timeout)
        waiter = self._new_waiter(anyio.current_time(), timeout)
        request_id: str | None = None
        try:
            with self.asking():
                request_id = self.say(call, waiter.set, counted=True)
                answer = await waiter
        finally:
            self.forget(request_id)
            waiter.close()
        if isinstance(answer, Exception):
            raise answer
        if not isinstance(answer, dict):
            raise TimeoutError
        return answer

    @property
    def unread(self) -> bool:
        """Whether the connection is not read at this moment, because the inbox is full."""
        return self._connection.paused

    def asking(self) -> AbstractContextManager[None]:
        """Await an answer for the length of a block: it is read though the inbox is full."""
        return self._requests.asking()

    def refuse_unreadable(self) -> None:
        """
        Refuse what a user asks where its answer could not be read.

        Raises:
            BackpressureError: the inbox has more than `inbox_bytes`; nothing was sent.
        """
        self._requests.refuse_unreadable()

    def deadline(self, timeout: float) -> Deadline:
        """Return the end of a wait for the server that begins now."""
        return Deadline(self._new_waiter.grace, timeout, self._connection)

    async def turn(self, message: Sendable, timeout: float) -> None:
        """
        Wait until a message may be sent; `say` then sends it.

        Args:
            message: the one.
            timeout: seconds for the limiter, and for room in the write buffer.

        Raises:
            TimeoutError: there was no room in time.
            NotConnectedError: the connection has ended.
            RateLimitedError: its turn does not come in time.
        """
        if self._limiter is not None:
            with UserCode(self._limiter.acquire):
                await self._limiter.acquire(message, timeout)
        if self._connection.full:
            with anyio.fail_after(timeout):
                await self._connection.room()
        if not self._connection.open:
            raise NotConnectedError(self._requests.client, "disconnected")

    def say(
        self,
        message: Sendable,
        take: Callable[[object], None] | None = None,
        *,
        counted: bool = False,
        by_id: bool = False,
    ) -> str | None:
        """
        Send a message at once, if anything can still be sent; return the id that it was given,
        if any.

        Args:
            message: what to send.
            take: given the response, or the error that ended the waiting for it, until
                `forget` is called; with it, the message gets an id.
            counted: whether the limiter has let it pass.
            by_id: whether the message gets an id though nobody awaits the response.
        """
        if not self._connection.open:
            if take is not None:
                take(NotConnectedError(self._requests.client, "disconnected"))
            return None
        if not counted:
            self._count(message)
        if take is None and not by_id:
            self._write(outgoing(message))
            return None
        request_id = self._requests.new_own_id()
        ready = outgoing({**message, "id": request_id})  # type: ignore[dict-item]
        if take is not None:
            self._requests.add_own(request_id, take)
        self._write(ready)
        return request_id

    def forget(self, request_id: str | None) -> None:
        """
        Await a response no longer; one that still comes is ignored.

        Args:
            request_id: as `say` returned it.
        """
        self._requests.drop_own(request_id)

    def _write(self, ready: Outgoing) -> None:
        self._connection.send(ready.opcode, ready.payload)

    def _count(self, message: Sendable) -> None:
        if self._limiter is None:
            return
        try:
            call(self._limiter.acquire_nowait, message)
        except RateLimitedError:
            call(self._limiter.spend)
