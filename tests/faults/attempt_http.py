"""Faults of an attempt in the server's answer to the upgrade."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final

from wsfleet.errors import ConnectError, HandshakeRejectedError

from .bounds import sum_of
from .fault import Attempt
from .peer import TEXT, accepts, answers, frame

if TYPE_CHECKING:
    from .peer import Peer, Script

EMPTY: Final = b"Content-Length: 0\r\n"
UPGRADED: Final = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
ASKED_TO_WAIT: Final = sum_of("retry_delay", "Retry-After", seconds=1.0)


def status(line: bytes, headers: bytes = b"") -> Script:
    """Return a script that answers with a status and without a body."""
    return answers(b"HTTP/1.1 " + line + b"\r\n" + headers + EMPTY + b"\r\n")


def rejected(code: int, phrase: str, words: str, **more: Any) -> Attempt:
    """Return the fault that a server answers with a status after which a retry cannot help."""
    return Attempt(
        name=f"status-{code}",
        words=words,
        serve=status(f"{code} {phrase}".encode()),
        gets=HandshakeRejectedError,
        code=code,
        says=str(code),
        recover=None,
        **more,
    )


def broken(name: str, words: str, headers: bytes, says: str, **more: Any) -> Attempt:
    """Return the fault that a server answers with 101 and headers that break RFC 6455."""
    return Attempt(
        name=name,
        words=words,
        serve=switched(headers),
        gets=HandshakeRejectedError,
        code=101,
        says=says,
        recover=None,
        **more,
    )


def switched(headers: bytes, version: bytes = b"HTTP/1.1", *, key: bool = True) -> Script:
    """Return a script that answers with 101, these headers and the right accept key."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        right = b"Sec-WebSocket-Accept: " + peer.accept_key + b"\r\n" if key else b""
        await peer.write(version + b" 101 Switching Protocols\r\n" + headers + right + b"\r\n")
        await peer.read_to_end()

    return script


def _once(*pieces: bytes) -> Script:
    """Return a script that sends these bytes before the right answer."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        for piece in pieces:
            await peer.write(piece)
        await peer.accept()
        await peer.converse()

    return script


async def _retry_at_a_date(peer: Peer) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    await status(b"503 Busy", f"Retry-After: {date}\r\n".encode())(peer)


async def _endless_interim(peer: Peer) -> None:
    await peer.read_request()
    while True:
        await peer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


async def _endless_headers(peer: Peer) -> None:
    await peer.read_request()
    await peer.write(b"HTTP/1.1 101 Switching Protocols\r\n")
    while True:
        await peer.write(b"X-More: and more\r\n" * 100)


async def _one_large_header(peer: Peer) -> None:
    await peer.read_request()
    await peer.write(b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"y" * 1_000_000)


async def _endless_body(peer: Peer) -> None:
    await peer.read_request()
    await peer.write(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await peer.write(b"5\r\nsorry\r\n" * 100)


async def _glued(peer: Peer) -> None:
    await peer.read_request()
    head = b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADED
    key = b"Sec-WebSocket-Accept: " + peer.accept_key + b"\r\n\r\n"
    await peer.write(head + key + frame(TEXT, b'"first"') + frame(TEXT, b'"second"')[:4])
    await peer.write(frame(TEXT, b'"second"')[4:])
    await peer.converse()


async def _bare_line_feeds(peer: Peer) -> None:
    await peer.read_request()
    head = b"HTTP/1.1 101 Switching Protocols\n" + UPGRADED.replace(b"\r\n", b"\n")
    await peer.write(head + b"Sec-WebSocket-Accept: " + peer.accept_key + b"\n\n")
    await peer.converse()


STATUSES: Final = (
    Attempt(
        name="another-protocol",
        words="the server speaks another protocol than HTTP",
        serve=answers(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        gets=ConnectError,
        says="HTTP",
        quick=True,
    ),
    Attempt(
        name="http-2",
        words="the server answers with frames of HTTP/2",
        serve=answers(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64\r\n\r\n"),
        gets=ConnectError,
        says="HTTP",
    ),
    rejected(200, "OK", "the server answers 200: it is a plain web server", quick=True),
    rejected(400, "Bad Request", "the server did not understand the upgrade"),
    rejected(401, "Unauthorized", "the server wants credentials", quick=True),
    rejected(403, "Forbidden", "the server forbids the connection"),
    rejected(404, "Not Found", "the server has no such path"),
    rejected(426, "Upgrade Required", "the server wants another version of WebSocket"),
    rejected(799, "What", "the server answers with a status that nobody has defined"),
    Attempt(
        name="status-429-seconds",
        words="the server has too many clients, and says in how many seconds to come back",
        serve=status(b"429 Slow Down", b"Retry-After: 1\r\n"),
        gets=HandshakeRejectedError,
        code=429,
        recover=ASKED_TO_WAIT,
        quick=True,
    ),
    Attempt(
        name="status-503-date",
        words="the server is overloaded, and says at what time to come back",
        serve=_retry_at_a_date,
        gets=HandshakeRejectedError,
        code=503,
        recover=ASKED_TO_WAIT,
    ),
    Attempt(
        name="status-503-nonsense",
        words="the server is overloaded, and its `Retry-After` means nothing",
        serve=status(b"503 Busy", b"Retry-After: soon, or -1\r\n"),
        gets=HandshakeRejectedError,
        code=503,
        quick=True,
    ),
    Attempt(
        name="status-500",
        words="the server has an internal error",
        serve=status(b"500 Oh No"),
        gets=HandshakeRejectedError,
        code=500,
    ),
    Attempt(
        name="endless-body",
        alone=True,
        words="the server is overloaded, and the body of its answer never ends",
        serve=_endless_body,
        gets=HandshakeRejectedError,
        code=503,
    ),
    Attempt(
        name="endless-interim-answers",
        alone=True,
        words="the server sends `100 Continue` for ever",
        serve=_endless_interim,
        gets=ConnectError,
    ),
    Attempt(
        name="endless-headers",
        alone=True,
        words="the server sends headers for ever",
        serve=_endless_headers,
        gets=ConnectError,
    ),
    Attempt(
        name="one-large-header",
        alone=True,
        words="one header of the server's answer has a megabyte",
        serve=_one_large_header,
        gets=ConnectError,
    ),
)

UPGRADES: Final = (
    Attempt(
        name="http-1-0",
        words="the server answers 101 in HTTP/1.0, which has no upgrades",
        serve=switched(UPGRADED, b"HTTP/1.0"),
        gets=HandshakeRejectedError,
        code=101,
        says="HTTP/1.0",
        recover=None,
    ),
    Attempt(
        name="accept-key-missing",
        words="`Sec-WebSocket-Accept` is missing",
        serve=switched(UPGRADED, key=False),
        gets=HandshakeRejectedError,
        code=101,
        says="Sec-WebSocket-Accept",
        recover=None,
    ),
    Attempt(
        name="accept-key-wrong",
        words="`Sec-WebSocket-Accept` is wrong",
        serve=accepts(accept_key=b"AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        gets=HandshakeRejectedError,
        code=101,
        says="Sec-WebSocket-Accept",
        recover=None,
        quick=True,
    ),
    broken(
        "accept-key-twice",
        "`Sec-WebSocket-Accept` comes twice, once wrong",
        UPGRADED + b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n",
        "Sec-WebSocket-Accept",
    ),
    broken("upgrade-missing", "`Upgrade` is missing", b"Connection: Upgrade\r\n", "websocket"),
    broken(
        "upgrade-to-another-protocol",
        "the server upgrades to another protocol",
        b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
        "websocket",
    ),
    broken(
        "connection-missing",
        "`Connection` does not say `upgrade`",
        b"Upgrade: websocket\r\nConnection: keep-alive\r\n",
        "Connection",
    ),
    broken(
        "subprotocol-not-offered",
        "the server chooses a subprotocol that was not offered",
        UPGRADED + b"Sec-WebSocket-Protocol: unasked\r\n",
        "subprotocol",
    ),
    broken(
        "two-subprotocols",
        "the server chooses two subprotocols",
        UPGRADED + b"Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n",
        "subprotocol",
        options={"subprotocols": ("a", "b")},
    ),
    broken(
        "extension-not-offered",
        "the server chooses an extension that was not offered",
        UPGRADED + b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "the server",
        quick=True,
    ),
    broken(
        "deflate-parameter-wrong",
        "the server chooses compression with a parameter that cannot be",
        UPGRADED
        + b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n",
        "the server",
        options={"compression": True},
    ),
    broken(
        "deflate-twice",
        "the server chooses compression twice",
        UPGRADED + b"Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate\r\n",
        "the server",
        options={"compression": True},
    ),
    Attempt(
        name="header-with-nul",
        words="a header of the server's answer has a NUL byte",
        serve=switched(UPGRADED + b"X: a\0b\r\n"),
        gets=ConnectError,
        says="HTTP",
    ),
    Attempt(
        name="interim-answer-first",
        words="the server sends `103 Early Hints` before 101",
        serve=_once(b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n"),
    ),
    Attempt(
        name="body-announced",
        words="the server's 101 announces a body, which a 101 cannot have",
        serve=accepts(b"Content-Length: 5\r\n"),
    ),
    Attempt(
        name="bare-line-feeds",
        words="the server ends its header lines without carriage returns",
        serve=_bare_line_feeds,
    ),
    Attempt(
        name="messages-with-the-answer",
        words="the server's first messages come in one piece with its answer",
        serve=_glued,
        quick=True,
    ),
)
