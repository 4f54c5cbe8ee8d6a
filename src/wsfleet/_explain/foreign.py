"""
Errors from beneath wsfleet: the operating system's, TLS's and HTTP's.

Rule: the most telling come first; of an error and its causes, the first row that fits one of
them explains all.
"""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING, Final, TypeAlias

import httpcore
import httpx
import httpx_ws

from .advice import Advice, Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kinds: TypeAlias = tuple[type[BaseException], ...]


def _row(
    message: str,
    suggestion: str,
    recoverable: bool = False,
    *,
    by: str = "",
    cases: Mapping[object, Advice] | None = None,
) -> Row:
    return Row(Advice(suggestion, message, recoverable), by=by, cases=cases or {})


def _certificate(problem: str, suggestion: str) -> Advice:
    return Advice(suggestion, f"the server's certificate {problem}", recoverable=False)


_UNKNOWN_ROOT: Final = _certificate(
    "comes from an authority that is not trusted here",
    "Give an `ssl_context` that trusts it; the default trusts certifi's roots.",
)
_SELF_SIGNED: Final = _certificate(
    "is self-signed",
    "Give an `ssl_context` that trusts it; do not switch the verification off.",
)
_WRONG_HOST: Final = _certificate(
    "is for another host", "Use the name in the URL that the certificate has."
)

_CERTIFICATES: Final[Mapping[object, Advice]] = {  # codes of OpenSSL's X509_V_ERR_*
    9: _certificate("is not valid yet", "Check this machine's clock; else ask its owner."),
    10: _certificate(
        "has expired", "Check this machine's clock; if it is right, its owner must renew it."
    ),
    18: _SELF_SIGNED,
    19: _SELF_SIGNED,
    20: _UNKNOWN_ROOT,
    21: _UNKNOWN_ROOT,
    23: _certificate("has been revoked", "Do not connect; ask the server's owner."),
    62: _WRONG_HOST,
    64: _WRONG_HOST,
}

_OLD_TLS: Final = Advice(
    "Have the server speak TLS 1.2 or newer, or give an `ssl_context` that allows its version.",
    "the two sides have no TLS version in common",
    recoverable=False,
)
_CUT_OFF: Final = Advice(
    "Try again; if it stays so, check that the port speaks TLS.",
    "the server ended the TLS connection without a word",
    recoverable=True,
)

_TLS_REASONS: Final[Mapping[object, Advice]] = {
    "WRONG_VERSION_NUMBER": Advice(
        "The port does not speak TLS: use ws://, or the port that wss:// is on.",
        "the server did not answer in TLS",
        recoverable=False,
    ),
    "HTTP_REQUEST": Advice(
        "Use wss:// for this port.", "plain HTTP met a TLS port", recoverable=False
    ),
    "UNSUPPORTED_PROTOCOL": _OLD_TLS,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD_TLS,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": Advice(
        "Load your certificate into an `ssl_context` with `load_cert_chain`.",
        "the server wants a certificate of ours",
        recoverable=False,
    ),
    "TLSV1_UNRECOGNIZED_NAME": Advice(
        "Use the name in the URL that the server is known by.",
        "the server knows no such host",
        recoverable=False,
    ),
    "UNEXPECTED_EOF_WHILE_READING": _CUT_OFF,
}

_NAMES: Final[Mapping[object, Advice]] = {
    socket.EAI_AGAIN: Advice(
        "Check this machine's network and DNS server, and try again.",
        "the DNS server did not answer",
        recoverable=True,
    ),
}

_UNREACHABLE: Final = Advice(
    "Check this machine's network, routes and firewall; it may be IPv6 that is missing.",
    "the network has no way to the server",
    recoverable=True,
)

_DENIED: Final = Advice(
    "Check the file's permissions, or this machine's firewall.",
    "the system refuses access",
    recoverable=False,
)

_SYSTEM: Final[Mapping[object, Advice]] = {
    errno.ENETUNREACH: _UNREACHABLE,
    errno.EHOSTUNREACH: _UNREACHABLE,
    errno.ENETDOWN: _UNREACHABLE,
    errno.EMFILE: Advice(
        "Raise the limit (`ulimit -n`), or hold fewer connections: each takes one.",
        "this process has no file descriptor left",
        recoverable=True,
    ),
    errno.ENFILE: Advice(
        "Close other programs, or raise the system's limit.",
        "this machine has no file descriptor left",
        recoverable=True,
    ),
    errno.EADDRNOTAVAIL: Advice(
        "Open fewer connections to one server from one address, or wait for ports to be free.",
        "this machine has no local port or address for it",
        recoverable=True,
    ),
    errno.EADDRINUSE: Advice(
        "Choose another port, or end the program that has this one.",
        "the port is taken",
        recoverable=True,
    ),
    errno.ENOSPC: Advice("Free some space.", "the disk is full", recoverable=True),
    errno.ENOENT: Advice("Check the path.", "there is no such file", recoverable=False),
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
}

FOREIGN: Final[Sequence[tuple[Kinds, Row]]] = (
    (
        (ssl.SSLCertVerificationError,),
        _row(
            "the server's certificate was refused",
            "Correct the URL or the certificate, or give an `ssl_context` that trusts it.",
            by="verify_code",
            cases=_CERTIFICATES,
        ),
    ),
    ((ssl.SSLEOFError, ssl.SSLZeroReturnError), Row(_CUT_OFF)),
    (
        (ssl.SSLError,),
        _row(
            "TLS could not be established",
            "Check that the port speaks TLS, and `ssl_context` if you gave one.",
            recoverable=True,
            by="reason",
            cases=_TLS_REASONS,
        ),
    ),
    (
        (socket.gaierror,),
        _row(
            "the host name does not resolve",
            "Check the host's spelling and this machine's DNS.",
            recoverable=True,
            by="errno",
            cases=_NAMES,
        ),
    ),
    (
        (httpx.PoolTimeout, httpcore.PoolTimeout),
        _row(
            "the HTTP client had no connection free in time",
            "Raise `max_connections` of your `http_client`: each WebSocket keeps one.",
            recoverable=True,
        ),
    ),
    (
        (TimeoutError, httpx.TimeoutException, httpcore.TimeoutException),
        _row(
            "it took too long",
            "Check that the host can be reached; on a slow path raise `timeout`.",
            recoverable=True,
        ),
    ),
    (
        (ConnectionRefusedError,),
        _row(
            "nothing listens on that port",
            "Check host and port, and that the server runs.",
            recoverable=True,
        ),
    ),
    (
        (ConnectionResetError, ConnectionAbortedError, BrokenPipeError),
        _row(
            "the other side dropped the connection",
            "Try again; if it stays so, check whether the port wants ws:// or wss://, and look "
            "for a firewall or proxy between.",
            recoverable=True,
        ),
    ),
    (
        (httpx.ProxyError, httpcore.ProxyError),
        _row(
            "the proxy refused or failed",
            "Check the address and the credentials in `proxy`, and whether it lets "
            "WebSockets through.",
            recoverable=True,
        ),
    ),
    (
        (httpx.LocalProtocolError, httpcore.LocalProtocolError),
        _row("the request was not valid HTTP", "Check the `headers` that you gave."),
    ),
    (
        (httpx.RemoteProtocolError, httpcore.RemoteProtocolError),
        _row(
            "the server did not answer as HTTP/1.1 should",
            "Check that the URL leads to a WebSocket server, and whether it wants wss://.",
            recoverable=True,
        ),
    ),
    (
        (httpx.InvalidURL, httpx.UnsupportedProtocol, httpcore.UnsupportedProtocol),
        _row(
            "the URL cannot be used",
            "Give a ws:// or wss:// URL, user and password percent-encoded.",
        ),
    ),
    (
        (httpx.TooManyRedirects,),
        _row("the server redirects without an end", "Correct the URL."),
    ),
    (
        (httpx.HTTPStatusError, httpx_ws.WebSocketUpgradeError),
        _row(
            "the server refused the upgrade",
            "Look at the status of the response, and check URL and credentials.",
        ),
    ),
    (
        (httpx_ws.WebSocketDisconnect,),
        _row("the server closed the WebSocket", "Look at its close code.", recoverable=True),
    ),
    (
        (OSError,),
        Row(
            Advice("Look at its `errno`, and at its text.", recoverable=True),
            by="errno",
            cases=_SYSTEM,
        ),
    ),
    (
        (httpx.NetworkError, httpcore.NetworkError, httpx_ws.WebSocketNetworkError),
        _row(
            "the connection broke",
            "Check that the host can be reached, and try again.",
            recoverable=True,
        ),
    ),
    (
        (httpx.HTTPError, httpcore.ProtocolError, httpx_ws.HTTPXWSException),
        _row(
            "the exchange over HTTP failed",
            "Check that the URL leads to a WebSocket server.",
            recoverable=True,
        ),
    ),
)

FOREIGN_KINDS: Final[tuple[type[BaseException], ...]] = tuple(
    kind for kinds, _ in FOREIGN for kind in kinds
)
"""Every class that the table knows."""
