"""
A TCP proxy that makes a good server's network bad: slow, narrow, cut, silent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from .owned import OwnedServer
from .pumps import Faults, Route, route
from .sockets import reset
from .streams import StreamListener

if TYPE_CHECKING:
    import asyncio


class FaultProxy(OwnedServer):
    """
    A proxy on 127.0.0.1 in front of any WebSocket server; it passes bytes on, TLS included.

    Faults concern open connections and new ones alike, from the moment they are set.

    Args:
        url: the server behind the proxy.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._target = urlsplit(url)
        self._faults = Faults()
        self._routes: set[Route] = set()
        self._listener = StreamListener(self._serve)
        self.accepted: int = 0
        self.refuse: bool = False
        """Whether new connections are reset at once."""

    @property
    def url(self) -> str:
        """The server's address, by way of this proxy."""
        return self._target._replace(netloc=f"127.0.0.1:{self._listener.port}").geturl()

    @property
    def connections(self) -> int:
        """How many connections pass through at this moment."""
        return len(self._routes)

    @property
    def latency(self) -> float:
        """How long every byte is under way, in seconds, in each direction."""
        return self._faults.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._faults.latency = seconds

    @property
    def bandwidth(self) -> float | None:
        """Bytes per second in each direction of a connection; None for no limit."""
        return self._faults.bandwidth

    @bandwidth.setter
    def bandwidth(self, bytes_per_second: float | None) -> None:
        self._faults.bandwidth = bytes_per_second

    async def start(self) -> None:
        """Listen again after `stop`, on the same port."""
        await self._loop.call(self._listener.start)

    async def stop(self) -> None:
        """Stop listening and reset every connection."""
        await self._loop.call(self._listener.stop)

    async def reset(self) -> None:
        """Reset every connection on both sides; new ones are welcome."""
        await self._loop.call(self._reset)

    async def freeze(self) -> None:
        """Let nothing through and close nothing, for open connections and new ones."""
        await self._loop.call(self._faults.freeze)

    async def thaw(self) -> None:
        """Let through again what waits."""
        await self._loop.call(self._faults.thaw)

    def cut_after(
        self,
        bytes: int,  # noqa: A002  the unit is the name
        direction: Literal["to_server", "to_client"] = "to_client",
    ) -> None:
        """
        Let this many further bytes pass, then end the connection that carried the last of them.

        The receiver gets exactly so many and then the end of the stream; the sender is reset.
        """
        self._faults.cut[direction] = bytes

    async def _reset(self) -> None:
        for each in tuple(self._routes):
            each.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            reset(writer.transport)
            return
        self.accepted += 1
        default = 443 if self._target.scheme == "wss" else 80
        host, port = self._target.hostname or "", self._target.port or default
        await route(reader, writer, (host, port), self._faults, self._routes)
