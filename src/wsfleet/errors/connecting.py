"""Why no connection could be opened."""

from __future__ import annotations

from typing import Any, Final

from .base import WsfleetError

_HEALING_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""
Answers to an upgrade that another try may change (RFC 9110 section 15, RFC 6585 section 4, RFC
8470).
"""


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
