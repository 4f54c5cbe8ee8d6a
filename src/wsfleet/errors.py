"""
Everything that wsfleet raises.

    WsfleetError
    +-- ConfigError (ValueError)
    +-- ConnectError
    |   +-- ConnectTimeoutError (TimeoutError)
    |   +-- ConnectRefusedError
    |   +-- DnsError
    |   +-- TlsError
    |   +-- HandshakeRejectedError
    |   +-- SessionRejectedError
    +-- SendError
    |   +-- NotConnectedError
    |   +-- RequestTimeoutError (TimeoutError)
    |   +-- DisconnectedError
    |   +-- DuplicateRequestIdError
    |   +-- NoConnectionsError
    |   +-- MaxAttemptsExceededError
    |   +-- RateLimitedError
    +-- JsonRpcError
    +-- SubscriptionRejectedError
    +-- InboxOverflowError
    +-- RecordingError
    +-- RestartLimitError

Rule 1: every error says what happened and what to do; one of a send says whether it was sent.
Rule 2: attributes first, the text is made from them; all arguments are positional, so that
errors pickle.
Rule 3: no URL query value, userinfo or header value is ever part of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ConfigError",
    "ConnectError",
    "ConnectRefusedError",
    "ConnectTimeoutError",
    "DisconnectedError",
    "DnsError",
    "DuplicateRequestIdError",
    "HandshakeRejectedError",
    "InboxOverflowError",
    "JsonRpcError",
    "MaxAttemptsExceededError",
    "NoConnectionsError",
    "NotConnectedError",
    "RateLimitedError",
    "RecordingError",
    "RequestTimeoutError",
    "RestartLimitError",
    "SendError",
    "SessionRejectedError",
    "SubscriptionRejectedError",
    "TlsError",
    "WsfleetError",
]

_HEALING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""
Answers to an upgrade that another try may change (RFC 9110 section 15, RFC 6585 section 4, RFC
8470).
"""


class WsfleetError(Exception):
    """
    Base class of everything that wsfleet raises on purpose.

    Attributes:
        recoverable: whether doing the same again later can succeed.
    """

    recoverable: bool = False


class ConfigError(WsfleetError, ValueError):
    """An option has a value that can never work; nothing was opened."""

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(option, problem)
        self.option = option
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.option} {self.problem}"


class ConnectError(WsfleetError):
    """
    No connection could be opened.

    Attributes:
        url: the endpoint, without its secrets.
        detail: what went wrong, in words.
        attempts: tries made in a row when this error was given up on.
    """

    recoverable: bool = True

    def __init__(self, url: str, detail: str) -> None:
        super().__init__(url, detail)
        self.url = url
        self.detail = detail
        self.attempts: int = 1

    def __str__(self) -> str:
        tries = f" (gave up after {self.attempts} attempts)" if self.attempts > 1 else ""
        return f"cannot connect to {self.url}: {self.detail}{tries}"


class ConnectTimeoutError(ConnectError, TimeoutError):
    """The whole attempt (DNS, TCP, TLS and upgrade) took longer than `timeout`."""


class ConnectRefusedError(ConnectError):
    """Nothing listens there, or the network cannot reach it."""


class DnsError(ConnectError):
    """The host name did not resolve."""


class TlsError(ConnectError):
    """
    TLS could not be established.

    Not recoverable when the certificate was refused: correct the URL, the clock or
    `ssl_context`.
    """

    def __init__(self, url: str, detail: str, recoverable: bool = False) -> None:
        super().__init__(url, detail)
        self.args: tuple[Any, ...] = (url, detail, recoverable)
        self.recoverable: bool = recoverable


class HandshakeRejectedError(ConnectError):
    """
    The server answered the upgrade, but not with a WebSocket that we can use.

    Attributes:
        status: the HTTP status; 101 when the answer itself broke RFC 6455 section 4.
        retry_after: seconds that the server asked us to wait, or None.
    """

    def __init__(
        self, url: str, detail: str, status: int, retry_after: float | None = None
    ) -> None:
        super().__init__(url, detail)
        self.args: tuple[Any, ...] = (url, detail, status, retry_after)
        self.status = status
        self.retry_after = retry_after
        self.recoverable: bool = status in _HEALING_STATUSES


class SessionRejectedError(ConnectError):
    """
    The server took the connection, but refused what a session begins with: a login, say.

    Attributes:
        step: what it refused: "login", or the method that the venue's profile calls.
        code: the number of the server's error, or None when it gave none.
    """

    def __init__(
        self, url: str, step: str, detail: str, code: int | None, recoverable: bool = False
    ) -> None:
        super().__init__(url, f"{step} refused: {detail}")
        self.args: tuple[Any, ...] = (url, step, detail, code, recoverable)
        self.step = step
        self.code = code
        self.recoverable: bool = recoverable


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
    No response came within the timeout.

    `sent` is None once the request was handed over (the server may have acted on it), and False
    when the timeout passed while it still waited for room in the write buffer.
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
            return (
                f"request {self.request_id!r} waited {self.timeout:g} s for room on "
                f"{self.client}; not sent: the peer reads too slowly"
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


class DuplicateRequestIdError(SendError):
    """
    A request with this id still awaits its response on this client; the second was not sent.
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


class JsonRpcError(WsfleetError):
    """
    The server answered a request with an error (JSON-RPC 2.0 section 5.1).

    Attributes:
        code: the error's number.
        message: its short description.
        data: whatever else the server said, or None.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(code, message, data)
        self.code = code
        self.message = message
        self.data = data

    def __str__(self) -> str:
        return f"the server answered with error {self.code}: {self.message}"


class SubscriptionRejectedError(WsfleetError):
    """
    The venue refused channels; those that it took with the same call stay subscribed.

    Attributes:
        rejected: each refused channel with the venue's words.
        confirmed: the channels of the call that are subscribed.
    """

    def __init__(
        self, client: str, rejected: Mapping[str, str], confirmed: Sequence[str] = ()
    ) -> None:
        super().__init__(client, rejected, confirmed)
        self.client = client
        self.rejected: dict[str, str] = dict(rejected)
        self.confirmed: tuple[str, ...] = tuple(confirmed)

    def __str__(self) -> str:
        refused = "; ".join(f"{channel}: {why}" for channel, why in self.rejected.items())
        kept = f"; subscribed: {', '.join(self.confirmed)}" if self.confirmed else ""
        return f"{self.client} was refused {refused}{kept}: correct the names, or log in"


class InboxOverflowError(WsfleetError):
    """Events came faster than they were taken, and `overflow="fail"` asks to fail then."""

    recoverable: bool = True

    def __init__(self, client: str, size: int) -> None:
        super().__init__(client, size)
        self.client = client
        self.size = size

    def __str__(self) -> str:
        return (
            f"the inbox of {self.client} was full ({self.size} events): "
            "take events faster, or choose another inbox_size or overflow policy"
        )


class RecordingError(WsfleetError):
    """
    A line of a recording cannot be read, and no crash explains it.

    Attributes:
        path: the file.
        line: its number, from 1.
        problem: what is wrong with it, in words.
    """

    def __init__(self, path: str, line: int, problem: str) -> None:
        super().__init__(path, line, problem)
        self.path = path
        self.line = line
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}: {self.problem}"


class RestartLimitError(WsfleetError):
    """
    Clients crashed more often than the supervisor tolerates; all of them were stopped.

    The last crash is its `__cause__`.
    """

    def __init__(self, client: str, max_restarts: int, max_seconds: float) -> None:
        super().__init__(client, max_restarts, max_seconds)
        self.client = client
        self.max_restarts = max_restarts
        self.max_seconds = max_seconds

    def __str__(self) -> str:
        return (
            f"more than {self.max_restarts} crashes within {self.max_seconds:g} s, the last of "
            f"{self.client}: its handler raised (see the cause): correct it"
        )
