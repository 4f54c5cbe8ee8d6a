"""Why a message did not get its result, and whether it was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import WsfleetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class SendError(WsfleetError):
    """
    A message that did not get its result.

    Attributes:
        sent: False when nothing was handed to the network: safe to send elsewhere. None when
            that is unknown: repeating it may do it twice.
    """

    sent: bool | None = False


class NotConnectedError(SendError):
    """
    There is no connection at this moment; nothing was sent.

    Attributes:
        client: the client's name.
        state: what `get_state()` said: "connecting", "disconnected", or "closed" when it will
            not come back.
    """

    recoverable: bool = True

    def __init__(self, client: str, state: str) -> None:
        super().__init__(client, state)
        self.client = client
        self.state = state

    def __str__(self) -> str:
        cure = "start it again" if self.state == "closed" else "wait for it to reconnect"
        return (
            f"{self.client} is {self.state}; not sent: {cure}, or send through another client"
        )


class RequestTimeoutError(SendError, TimeoutError):
    """
    No response came within the timeout, or there was no room to send in time.

    `sent` is None once the request was handed over (the server may have acted on it), and False
    when the timeout passed while it still waited for room in the write buffer.

    Attributes:
        client: the client's name.
        request_id: the request's `id`; None for a message without one, which only waited for
            room.
        timeout: seconds that it had.
    """

    recoverable: bool = True

    def __init__(
        self, client: str, request_id: object, timeout: float, sent: bool | None
    ) -> None:
        super().__init__()
        # OSError, above TimeoutError, would take a third argument for a file's name.
        self.args: tuple[Any, ...] = (client, request_id, timeout, sent)
        self.client = client
        self.request_id = request_id
        self.timeout = timeout
        self.sent: bool | None = sent

    def __str__(self) -> str:
        if self.sent is False:
            message = "a message" if self.request_id is None else f"request {self.request_id!r}"
            return (
                f"{message} waited {self.timeout:g} s for room on {self.client}; not sent: "
                "the peer reads too slowly"
            )
        return (
            f"no response to request {self.request_id!r} on {self.client} within "
            f"{self.timeout:g} s; it may have been carried out: ask the server "
            "before repeating it"
        )


class DisconnectedError(SendError):
    """
    The connection dropped, and with it the answers that were awaited.

    Attributes:
        client: the client's name.
        code: the peer's close code (RFC 6455 section 7.4), or None when it sent none.
        reason: the peer's words, or what broke.
    """

    sent: bool | None = None
    recoverable: bool = True

    def __init__(self, client: str, code: int | None, reason: str) -> None:
        super().__init__(client, code, reason)
        self.client = client
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        code = "" if self.code is None else f" with code {self.code}"
        why = f" ({self.reason})" if self.reason else ""
        return (
            f"{self.client} was disconnected{code}{why}; what awaited an answer may have been "
            "carried out: ask the server before repeating it"
        )


class BackpressureError(SendError):
    """
    The answer cannot be read: events that were not taken fill the inbox up to `inbox_bytes`,
    and reading waits until half of them were.

    `sent` is None where the request was on its way when that happened (the server may have
    acted on it), and False where it was made after that.

    Attributes:
        client: the client's name.
        inbox_bytes: what its inbox holds.
    """

    recoverable: bool = True

    def __init__(self, client: str, inbox_bytes: int, sent: bool | None) -> None:
        super().__init__(client, inbox_bytes, sent)
        self.client = client
        self.inbox_bytes = inbox_bytes
        self.sent: bool | None = sent

    def __str__(self) -> str:
        if self.sent is False:
            outcome = "not sent: take events before you ask"
        else:
            outcome = (
                "the request may have been carried out: ask the server before repeating it, "
                "and take events faster"
            )
        return (
            f"no answer can be read on {self.client}, whose inbox is full ({self.inbox_bytes} "
            f"bytes of events that were not taken); {outcome}"
        )


class DuplicateRequestIdError(SendError):
    """
    A request with this id still awaits its response on this client; the second was not sent.

    Attributes:
        client: the client's name.
        request_id: the `id` that is taken.
    """

    def __init__(self, client: str, request_id: object) -> None:
        super().__init__(client, request_id)
        self.client = client
        self.request_id = request_id

    def __str__(self) -> str:
        return (
            f"request id {self.request_id!r} is in flight on {self.client}; not sent: "
            "use ids of their own, or request(), which makes them"
        )


class NoConnectionsError(SendError):
    """
    Routing found no connected client; nothing was sent.

    Attributes:
        candidates: how many clients discovery named, connected or not.
    """

    recoverable: bool = True

    def __init__(self, candidates: int) -> None:
        super().__init__(candidates)
        self.candidates = candidates

    def __str__(self) -> str:
        return (
            f"none of {self.candidates} clients is connected; not sent: "
            "wait for a connection, or start more clients"
        )


class MaxAttemptsExceededError(SendError):
    """
    Every attempt failed before anything was sent, or the message was declared idempotent.

    Attributes:
        attempts: pairs of the client's name and its error, in the order of the attempts.
    """

    recoverable: bool = True

    def __init__(self, attempts: Sequence[tuple[str, Exception]]) -> None:
        super().__init__(attempts)
        self.attempts: tuple[tuple[str, Exception], ...] = tuple(attempts)
        unknown = any(getattr(error, "sent", None) is not False for _, error in self.attempts)
        self.sent: bool | None = None if unknown else False

    def __str__(self) -> str:
        outcome = "not sent" if self.sent is False else "perhaps carried out"
        tried = "; ".join(f"{name}: {error}" for name, error in self.attempts)
        return f"all {len(self.attempts)} attempts failed; {outcome}: {tried}"


class RateLimitedError(SendError):
    """
    The limiter has no room for the message in time; nothing was sent.

    Attributes:
        retry_after: seconds until there is room.
        client: whose message it was, or None where a limiter was asked directly.
    """

    recoverable: bool = True

    def __init__(self, retry_after: float, client: str | None = None) -> None:
        super().__init__(retry_after, client)
        self.retry_after = retry_after
        self.client = client

    def __str__(self) -> str:
        whose = (
            "the rate limit is"
            if self.client is None
            else f"the rate limit of {self.client} is"
        )
        return f"{whose} reached; not sent: retry in {self.retry_after:.3g} s"
