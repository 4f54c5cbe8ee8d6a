"""The server's side of one connection, in the hands of a fault's script."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from wsfleet.testing import RawConnection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .stage import Stage

    Script: TypeAlias = "Callable[[Peer], Awaitable[None]]"

RIGHT: Final = "right"
"""The result of each request that a good server answers."""

FAULT: Final = "fault"
"""The method on which a script does its harm."""

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class ClosedByClientError(OSError):
    """The client sent a close frame, and it was answered."""


class Peer(RawConnection):
    """
    One connection to a client.

    Args:
        reader: what the client sends.
        writer: to the client.
        number: of this connection on its stage, from 1.
        stage: where it is played.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        number: int,
        stage: Stage,
    ) -> None:
        super().__init__(reader, writer)
        self.number = number
        self.stage = stage
        self.closing = False  # whether this side has sent a close frame

    async def frame(self) -> tuple[int, bytes]:
        """Read one frame of the client: its opcode and its payload."""
        first, second = await self.read(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(await self.read(2 if size == 126 else 8))
        mask = await self.read(4)
        masked = await self.read(size)
        return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))

    async def message(self) -> dict[str, Any]:
        """
        Read the client's next message; pings are answered.

        Raises:
            ClosedByClientError: it sent a close frame.
        """
        while True:
            opcode, payload = await self.frame()
            if opcode == PING:
                await self.write(frame(PONG, payload))
            elif opcode == CLOSE:
                self.stage.told.append(int.from_bytes(payload[:2]))
                if not self.closing:
                    await self.write(frame(CLOSE, payload[:2]))
                raise ClosedByClientError
            elif opcode == TEXT:
                message: dict[str, Any] = json.loads(payload)
                self.stage.asked.append(message["method"])
                self.stage.note()
                return message

    async def answer(self, request: dict[str, Any], result: Any = RIGHT) -> None:
        """Answer a request, if it is one."""
        if "id" in request:
            await self.reply(request, result=result)

    async def reply(self, request: dict[str, Any], **members: Any) -> None:
        """Answer a request with these members of a JSON-RPC response."""
        await self.say({"jsonrpc": "2.0", "id": request["id"], **members})

    async def say(self, message: Any) -> None:
        """Send a message: text as it is, anything else as JSON."""
        text = message if isinstance(message, str) else json.dumps(message)
        await self.write(frame(TEXT, text.encode()))

    async def converse(self, until: str = "") -> dict[str, Any]:
        """Answer each request, and return the first that calls the method `until`."""
        while True:
            request = await self.message()
            if request["method"] == until:
                return request
            await self.answer(request)

    async def start(self) -> dict[str, Any]:
        """Accept the connection, and return the request that asks for the fault."""
        await self.accept()
        return await self.converse(FAULT)

    async def hang_on(self) -> None:
        """Answer nothing more, and hold the connection open until the client ends it."""
        while True:
            await self.message()

    async def hold(self) -> None:
        """Neither read nor write, and hold the connection open."""
        await asyncio.Event().wait()

    def close_socket(self) -> None:
        """End the connection without a word of WebSocket."""
        self._writer.close()

    def write_below_tls(self, data: bytes) -> None:
        """Send bytes as they are over a connection with TLS."""
        os.write(self._socket().fileno(), data)

    def end_below_tls(self) -> None:
        """End the stream without the alert with which TLS ends."""
        self._socket().shutdown(socket.SHUT_WR)

    def _socket(self) -> socket.socket:
        found: socket.socket = self._writer.get_extra_info("socket")
        return found


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, reserved: int = 0) -> bytes:
    """Return a server's frame."""
    first = (0x80 if final else 0) | reserved << 4 | opcode
    size = len(payload)
    if size < 126:
        return bytes([first, size]) + payload
    if size < 2**16:
        return bytes([first, 126]) + size.to_bytes(2) + payload
    return bytes([first, 127]) + size.to_bytes(8) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame."""
    return frame(CLOSE, code.to_bytes(2) + reason.encode())


async def good(peer: Peer) -> None:
    """Serve a connection well."""
    await peer.accept()
    await peer.converse()


def then(harm: Callable[[Peer, dict[str, Any]], Awaitable[None]]) -> Script:
    """Return a script that does harm when it is asked for the fault, and then goes on."""

    async def script(peer: Peer) -> None:
        await harm(peer, await peer.start())
        await peer.converse()

    return script


def writes(*pieces: bytes) -> Script:
    """Return a script that sends these bytes when it is asked for the fault."""

    async def harm(peer: Peer, _: dict[str, Any]) -> None:
        for piece in pieces:
            await peer.write(piece)

    return then(harm)


def answers(head: bytes) -> Script:
    """Return a script that answers an upgrade with these bytes, and ends the connection."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.write(head)

    return script


def accepts(headers: bytes = b"", accept_key: bytes | None = None) -> Script:
    """Return a script that answers an upgrade with 101 and these headers."""

    async def script(peer: Peer) -> None:
        await peer.accept(headers, accept_key)
        await peer.converse()

    return script


async def silent(peer: Peer) -> None:
    """Read all and answer nothing."""
    await peer.read_to_end()
