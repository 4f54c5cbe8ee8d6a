"""What can go wrong while connecting, in our own words: foreign errors stop here."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from traceback import walk_tb
from typing import TYPE_CHECKING, Final

import httpcore
import httpx
import httpx_ws

from wsfleet.errors import (
    ConnectError,
    ConnectRefusedError,
    ConnectTimeoutError,
    DnsError,
    HandshakeRejectedError,
    TlsError,
)

from .alpn import AlpnError
from .handshake import HandshakeError, retry_after
from .scrub import MACHINERY, unquoted, without_own_frames

if TYPE_CHECKING:
    from collections.abc import Iterator

NETWORK_ERRORS: Final = (
    OSError,
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx_ws.HTTPXWSException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)
"""What the network and the HTTP libraries raise on purpose, on any event loop."""

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


def failure(error: Exception, url: str, timeout: float) -> ConnectError:
    """
    Say in our words why an attempt to connect failed, whatever was raised.

    Args:
        error: what was raised; perhaps a group of errors.
        url: the endpoint, without its secrets.
        timeout: seconds that the attempt had.
    """
    for each in _members(error):
        if isinstance(each, httpx_ws.WebSocketUpgradeError):
            return rejection(each.response, url)
        if isinstance(each, httpx_ws.WebSocketDisconnect):
            return rejection(httpx.Response(httpx.codes.FORBIDDEN), url)
        if isinstance(each, HandshakeError):
            return _broken_answer(each, url)
    return connect_error(error, url, timeout)


def _members(error: BaseException) -> Iterator[BaseException]:
    """Return an error, or those in a group of errors."""
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for inner in error.exceptions:
        yield from _members(inner)


def _broken_answer(error: HandshakeError, url: str) -> HandshakeRejectedError:
    rejected = HandshakeRejectedError(url, str(error), error.status)
    rejected.recoverable = rejected.recoverable or error.recoverable
    return rejected


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
    if any(isinstance(cause, httpx.InvalidURL) for cause in causes):
        return _unfit_url(url)
    if isinstance(error, NETWORK_ERRORS):
        detail = f"the server did not answer as HTTP/1.1 should ({_text(error)})"
        return ConnectError(url, detail)
    # Of an error that nobody foresaw only the type is told: its text may quote a secret.
    return ConnectError(url, f"the attempt failed with {_kind(error)} (see the cause)")


def _unfit_url(url: str) -> ConnectError:
    """Return the error for a URL that a library refused; its own text quotes parts of it."""
    unfit = ConnectError(url, "the HTTP library refused the URL or that of the proxy")
    unfit.recoverable = False
    return unfit


def _kind(error: BaseException) -> str:
    return " and ".join(dict.fromkeys(type(each).__name__ for each in _members(error)))


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


def _alpn(error: BaseException, url: str, _: float) -> ConnectError:
    return TlsError(url, _text(error), False)


def _tls(error: BaseException, url: str, _: float) -> ConnectError:
    return TlsError(url, f"the TLS handshake failed: {_text(error)}", True)


def _cut(_: BaseException, url: str, __: float) -> ConnectError:
    return ConnectRefusedError(url, "the connection ended while TLS began")


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
    (AlpnError, _alpn),
    ((ssl.SSLEOFError, ssl.SSLWantReadError, ssl.SSLZeroReturnError), _cut),
    (ssl.SSLError, _tls),
    (socket.gaierror, _dns),
    ((TimeoutError, httpx.TimeoutException, httpcore.TimeoutException), _timeout),
    (OSError, _refused),
)
"""The first kind found among an error's causes explains it: the most telling come first."""


def came_from_user_code(error: Exception) -> bool:
    """
    Whether an error that came out of a user's `http_client` was raised by code of the user's: a
    transport, an authentication, a hook.

    What such code raises of the errors of httpx and the system says that the network failed,
    and is no fault of the code.
    """
    return any(
        not isinstance(each, (*NETWORK_ERRORS, HandshakeError)) and _passed_user_code(each)
        for each in _members(error)
    )


def keep_user_frames(error: Exception) -> None:
    """
    Leave to an error that came out of a user's `http_client` the frames of user code alone: in
    the others, local variables hold the URL and the headers.
    """
    without_own_frames(error, MACHINERY)


def _passed_user_code(error: BaseException) -> bool:
    frames = walk_tb(error.__traceback__)
    return any(
        str(frame.f_globals.get("__name__", "")).partition(".")[0] not in MACHINERY
        for frame, _ in frames
    )
