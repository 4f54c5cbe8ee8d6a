"""Small JSON-RPC servers for the demonstration, that can be killed and brought back."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from typing import TYPE_CHECKING, Final

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from typing import Self

_LINGER_ZERO: Final = struct.pack("ii", 1, 0)


class DemoServer:
    """
    Answers each request after a few milliseconds, on one loopback port for its whole life.
    """

    def __init__(self) -> None:
        self.answered: int = 0
        self._port = 0
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"ws://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await serve(self._answer, "127.0.0.1", self._port, compression=None)
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    async def _answer(self, connection: ServerConnection) -> None:
        try:
            async for text in connection:
                request = msgspec.json.decode(text)
                await asyncio.sleep(random.uniform(0.001, 0.006))  # noqa: S311 - work takes its time
                response = {"jsonrpc": "2.0", "id": request["id"], "result": "done"}
                await connection.send(msgspec.json.encode(response), text=True)
                self.answered += 1
        except ConnectionClosed:
            return

    async def kill(self) -> None:
        """Stop listening, and reset every connection."""
        server = self._server
        assert server is not None
        for connection in server.connections:
            raw = connection.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            connection.transport.abort()
        await self.stop()

    async def stop(self) -> None:
        """Stop listening, and close what is open."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
