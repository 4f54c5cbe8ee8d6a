"""
One HTTP/1.1 request and the head of its answer (h11 does the parsing); what came after the
head is the WebSocket's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import h11
import httpcore
import httpx
from anyio.lowlevel import checkpoint

from .scrub import unquoted

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterable, Mapping

_READ_SIZE: Final = 64 * 1024
LONGEST_HEAD: Final = 64 * 1024
"""Bytes of an answer's head, with all before it, above which it is refused."""

MOST_INTERIM: Final = 16
"""Interim answers (1xx, RFC 9110 section 15.2) taken before the final one."""

_SWITCHING: Final = 101
_KEY_HEADER: Final = "sec-websocket-key"

KEY: Final = "wsfleet.key"
"""Extension of an answer that has the `Sec-WebSocket-Key` which it answers."""


class Headers:
    """
    The header lines of a request, and no more: `httpx.Headers` takes as long as the request.

    Args:
        lines: names and values, in their order.
    """

    __slots__ = ("key", "lines", "names")

    def __init__(self, lines: Iterable[tuple[str, str]]) -> None:
        self.lines: list[tuple[bytes, bytes]] = []
        self.names: set[str] = set()
        self.key: str | None = None  # the `Sec-WebSocket-Key`
        for name, value in lines:
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Add a line; its value may have every character of latin-1 (RFC 9110 section 5.5)."""
        self.lines.append((name.encode("ascii"), value.encode("latin-1")))
        self.names.add(name.lower())

    def setdefault(self, name: str, value: str) -> None:
        """Add a line, if there is none of that name, which is in small letters."""
        if name not in self.names:
            self.add(name, value)

    def update(self, more: Mapping[str, str]) -> None:
        """Add lines, as httpx-ws does; there are none of those names."""
        for name, value in more.items():
            self.add(name, value)
            if name.lower() == _KEY_HEADER:
                self.key = value


async def exchange(
    stream: httpcore.AsyncNetworkStream, method: str, url: httpx.URL, headers: Headers
) -> httpx.Response:
    """
    Send a request without a body, and return the head of its answer.

    The answer's extensions have "network_stream", which reads on where the head ended.

    Raises:
        httpcore.ProtocolError: the answer is no HTTP/1.1, or its head is too long.
        OSError: the connection broke.
    """
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_HEAD)
    lines = headers.lines
    if "host" not in headers.names:
        lines = [(b"host", url.netloc), *lines]
    try:
        request = h11.Request(method=method, target=url.raw_path, headers=lines)
        await stream.write(http.send(request) + http.send(h11.EndOfMessage()))
        answer = await _read_head(http, stream)
    except h11.ProtocolError as exc:
        problem = unquoted(str(exc))  # the rest may be a header of ours
    else:
        return _answer(answer, http, stream, headers)
    raise httpcore.ProtocolError(problem)


def _answer(
    answer: h11.Response | h11.InformationalResponse,
    http: h11.Connection,
    stream: httpcore.AsyncNetworkStream,
    headers: Headers,
) -> httpx.Response:
    return httpx.Response(
        answer.status_code,
        headers=answer.headers.raw_items(),
        stream=httpx.ByteStream(b""),
        extensions={
            "http_version": b"HTTP/" + answer.http_version,
            "network_stream": Continued(http.trailing_data[0], stream),
            KEY: headers.key,
        },
    )


async def _read_head(
    http: h11.Connection, stream: httpcore.AsyncNetworkStream
) -> h11.Response | h11.InformationalResponse:
    """
    Read up to the answer itself. What comes before it is bounded in number and bytes, and each
    read but the first lets other tasks run: bytes that have come already are read at once.
    """
    interim = size = 0
    while True:
        event = http.next_event()
        if isinstance(event, h11.Response):
            return event
        if isinstance(event, h11.InformationalResponse):
            if event.status_code == _SWITCHING:
                return event
            interim += 1
            if interim > MOST_INTERIM:
                raise h11.RemoteProtocolError(f"more than {MOST_INTERIM} interim answers")
            continue
        if size > LONGEST_HEAD:
            raise h11.RemoteProtocolError(f"no answer within {LONGEST_HEAD} bytes")
        if size:
            await checkpoint()
        data = await stream.read(_READ_SIZE)
        if not data:
            raise ConnectionResetError("the server closed the connection without an answer")
        size += len(data)
        http.receive_data(data)


class Continued(httpcore.AsyncNetworkStream):
    """
    A stream from where the head of an answer ended.

    Args:
        leading: bytes that came with the head.
        stream: what comes after them.
    """

    def __init__(self, leading: bytes, stream: httpcore.AsyncNetworkStream) -> None:
        self.leading: bytes = leading
        self._stream = stream

    def plain_socket(self) -> socket.socket | None:
        """Return the socket below, where bytes go through it as they are."""
        if self.get_extra_info("ssl_object") is not None:
            return None
        found: socket.socket | None = self.get_extra_info("socket")
        return found

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the leading bytes first."""
        if not self.leading:
            return await self._stream.read(max_bytes, timeout)
        data, self.leading = self.leading[:max_bytes], self.leading[max_bytes:]
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Speak TLS from here on."""
        return await self._stream.start_tls(ssl_context, server_hostname, timeout)

    def get_extra_info(self, info: str) -> Any:
        """Return what the stream knows under that name."""
        return self._stream.get_extra_info(info)
