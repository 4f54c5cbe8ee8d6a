"""What can go wrong while connecting, in our own words: foreign errors stop here."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import httpcore
import httpx

from wsfleet.errors import (
    ConnectError,
    ConnectRefusedError,
    ConnectTimeoutError,
    DnsError,
    HandshakeRejectedError,
    TlsError,
)

from .handshake import retry_after
from .scrub import unquoted

if TYPE_CHECKING:
    from collections.abc import Iterator

FOREIGN_ERRORS: Final = (
    OSError,
    httpx.HTTPError,
    httpx.InvalidURL,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)
"""Whatever an upgrade may raise below us, on any event loop and through any client."""

_CURES: Final = {
    400: "the server did not understand the upgrade: check URL, headers and subprotocols",
    401: "check the credentials",
    403: "this client may not connect: check credentials, address and Origin",
    404: "there is no such path",
    407: "the proxy wants credentials",
    426: "the server wants another protocol version",
    429: "too many connections: open them more slowly",
    503: "the server is overloaded or in maintenance",
}


def rejection(answer: httpx.Response, url: str) -> HandshakeRejectedError:
    """Say what an answer other than 101 means."""
    status = answer.status_code
    phrase = httpx.codes.get_reason_phrase(status)
    text = f"the server answered {status} {phrase}".rstrip()
    if answer.is_redirect:
        text += ": it is at another URL, and max_redirects lets it not be followed"
    elif cure := _CURES.get(status):
        text += f": {cure}"
    wait = retry_after(answer.headers, datetime.now(UTC))
    return HandshakeRejectedError(url, text, status, wait)


def connect_error(error: Exception, url: str, timeout: float) -> ConnectError:
    """Say in our words what a foreign error means."""
    if isinstance(error, TimeoutError):
        return _timeout(error, url, timeout)  # what it interrupted is no cause
    causes = list(_causes(error))
    for kind, explain in _EXPLANATIONS:
        for cause in causes:
            if isinstance(cause, kind):
                return explain(cause, url, timeout)
    return ConnectError(url, f"the server did not answer as HTTP/1.1 should ({_text(error)})")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        error = error.__cause__ or error.__context__


def _certificate(error: BaseException, url: str, _: float) -> ConnectError:
    detail = getattr(error, "verify_message", "") or _text(error)
    return TlsError(url, f"the certificate was refused: {detail}", False)


def _tls(error: BaseException, url: str, _: float) -> ConnectError:
    return TlsError(url, f"the TLS handshake failed: {_text(error)}", True)


def _dns(error: BaseException, url: str, _: float) -> ConnectError:
    return DnsError(url, f"the host name does not resolve: {_text(error)}")


def _timeout(_: BaseException, url: str, timeout: float) -> ConnectError:
    return ConnectTimeoutError(url, f"not open after {timeout:g} s")


def _refused(error: BaseException, url: str, _: float) -> ConnectError:
    return ConnectRefusedError(url, _text(error))


def _text(error: BaseException) -> str:
    known = getattr(error, "strerror", None)
    return (known or unquoted(str(error)) or type(error).__name__)[:200]


_EXPLANATIONS: Final = (
    (ssl.SSLCertVerificationError, _certificate),
    (ssl.SSLError, _tls),
    (socket.gaierror, _dns),
    ((TimeoutError, httpx.TimeoutException, httpcore.TimeoutException), _timeout),
    (OSError, _refused),
)
"""The first kind found among an error's causes explains it: the most telling come first."""
