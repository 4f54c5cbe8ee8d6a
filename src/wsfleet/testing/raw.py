"""
A server that says any bytes: for the mistakes that a WebSocket library never makes.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from typing import TYPE_CHECKING, Final, TypeAlias

from .owned import OwnedServer
from .sockets import reset
from .streams import StreamListener

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Script: TypeAlias = Callable[["RawConnection"], Awaitable[None]]

_PIECE: Final = 65536
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3


class RawConnection:
    """One TCP connection in the hands of a script."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.request: bytes = b""

    async def read_request(self) -> bytes:
        """Read the client's handshake to its empty line, and keep it as `request`."""
        self.request = await self._reader.readuntil(b"\r\n\r\n")
        return self.request

    @property
    def accept_key(self) -> bytes:
        """The `Sec-WebSocket-Accept` that belongs to the request (RFC 6455 section 4.2.2)."""
        found = re.search(rb"(?i)sec-websocket-key: *(\S+)", self.request)
        key = found[1] if found else b""
        digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
        return base64.b64encode(digest)

    async def accept(self, headers: bytes = b"", accept_key: bytes | None = None) -> None:
        """
        Answer the handshake with 101, reading it first if nobody did.

        Args:
            headers: further header lines, each with its line end.
            accept_key: another `Sec-WebSocket-Accept` than the right one.
        """
        if not self.request:
            await self.read_request()
        key = self.accept_key if accept_key is None else accept_key
        await self.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + key + b"\r\n" + headers + b"\r\n"
        )

    async def write(self, data: bytes) -> None:
        """Send these bytes and wait until the buffer drains."""
        self._writer.write(data)
        await self._writer.drain()

    async def read(self, count: int) -> bytes:
        """Read exactly this many bytes; `asyncio.IncompleteReadError` if the stream ends."""
        return await self._reader.readexactly(count)

    async def read_some(self) -> bytes:
        """Read what has come, at least one byte; nothing at the end of the stream."""
        return await self._reader.read(_PIECE)

    async def read_to_end(self) -> bytes:
        """Read until the client closes its side: holds the connection open until then."""
        return await self._reader.read()

    def reset(self) -> None:
        """Close the connection with RST."""
        reset(self._writer.transport)


class RawServer(OwnedServer):
    """
    A TCP server on 127.0.0.1 that runs a script for each connection, and closes it at its end.

    Args:
        script: an async callable on the server's own asyncio loop; it sees the client's bytes
            and answers any bytes. What it raises, other than because the client left, is raised
            at the block's end.
    """

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.accepted: int = 0
        self._script = script
        self._failed: Exception | None = None
        self._listener = StreamListener(self._serve)

    @property
    def url(self) -> str:
        """The address to connect to; it stays the same through `stop` and `start`."""
        return f"ws://127.0.0.1:{self._listener.port}"

    async def start(self) -> None:
        """Listen again after `stop`, on the same port."""
        await self._loop.call(self._listener.start)

    async def stop(self) -> None:
        """Stop listening and reset every connection, as a killed process does."""
        await self._loop.call(self._listener.stop)

    async def wait_until_idle(self) -> None:
        """Wait until every script that runs at this moment has ended."""
        await self._loop.call(self._listener.join)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            await self._script(RawConnection(reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            return  # the client left
        except Exception as error:  # noqa: BLE001  raised in the test, at the block's end
            self._failed = self._failed or error

    def _script_failure(self) -> Exception | None:
        return self._failed
