"""
A TCP proxy that makes a good server's network bad: slow, narrow, cut, silent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .lines import FaultyLine
from .owned import OwnedServer
from .pumps import Routes, route
from .sockets import reset
from .streams import StreamListener

if TYPE_CHECKING:
    import asyncio

    from .lines import Direction, Lines


class FaultProxy(OwnedServer):
    """
    A proxy on 127.0.0.1 in front of any WebSocket server; it passes bytes on, TLS included.

    Faults concern open connections and new ones alike, from the moment they are set, and both
    directions unless you name one.

    Args:
        url: the server behind the proxy.

    Raises:
        ValueError: the URL is none of a WebSocket server.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._target = urlsplit(url)
        if self._target.scheme not in {"ws", "wss"} or not self._target.hostname:
            raise ValueError("a FaultProxy needs the ws:// or wss:// URL of a server")
        self.to_server: FaultyLine = FaultyLine("to_server")
        """What is wrong with what clients send."""
        self.to_client: FaultyLine = FaultyLine("to_client")
        """What is wrong with what they get."""
        self._lines: Lines = {"to_server": self.to_server, "to_client": self.to_client}
        self._routes: Routes = Routes()
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
        return len(self._routes.open)

    @property
    def latency(self) -> float:
        """
        How long every byte is under way, in seconds; setting it sets both directions.

        For one direction set `to_server.latency` or `to_client.latency`; this is the longer.
        """
        return max(line.latency for line in self._lines.values())

    @latency.setter
    def latency(self, seconds: float) -> None:
        for line in self._lines.values():
            line.latency = seconds

    @property
    def bandwidth(self) -> float | None:
        """
        Bytes per second of a connection, None for no limit; setting it sets both directions.

        For one direction set `to_server.bandwidth` or `to_client.bandwidth`; this is the lower.
        """
        limits = (line.bandwidth for line in self._lines.values())
        return min((limit for limit in limits if limit is not None), default=None)

    @bandwidth.setter
    def bandwidth(self, bytes_per_second: float | None) -> None:
        for line in self._lines.values():
            line.bandwidth = bytes_per_second

    async def start(self) -> None:
        """Listen again after `stop`, on the same port."""
        await self._loop.call(self._listener.start)

    async def stop(self) -> None:
        """Stop listening and reset every connection."""
        await self._loop.call(self._listener.stop)

    async def wait_for_connections(self, count: int, timeout: float = 1.0) -> None:
        """
        Wait until exactly this many connections pass through to the server.

        Raises:
            TimeoutError: it did not happen within this many seconds.
        """
        await self._loop.call(
            self._routes.changes.wait_until, lambda: self.connections == count, timeout
        )

    async def reset(self) -> None:
        """Reset every connection on both sides; new ones are welcome."""
        await self._loop.call(self._reset)

    async def drop(self) -> None:
        """End every connection on both sides without a close frame; new ones are welcome."""
        await self._loop.call(self._drop)

    async def freeze(self, direction: Direction | None = None) -> None:
        """
        Let nothing through and close nothing, for open connections and new ones.

        Args:
            direction: "to_server" or "to_client" for a line that is dead in one direction.
        """
        await self._loop.call(self._hold, self._chosen(direction))

    async def thaw(self, direction: Direction | None = None) -> None:
        """Let through again what waits."""
        await self._loop.call(self._release, self._chosen(direction))

    def cut_after(
        self,
        bytes: int,  # noqa: A002  the unit is the name
        direction: Direction = "to_client",
    ) -> None:
        """
        Let this many further bytes pass, then end the connection that carried the last of them.

        The receiver gets exactly so many and then the end of the stream; the sender is reset.
        """
        self._chosen(direction)[0].cut_after(bytes)

    def _chosen(self, direction: Direction | None) -> list[FaultyLine]:
        if direction is None:
            return list(self._lines.values())
        if direction not in self._lines:
            raise ValueError(f"a direction is 'to_server' or 'to_client', not {direction!r}")
        return [self._lines[direction]]

    async def _hold(self, lines: list[FaultyLine]) -> None:
        for line in lines:
            line.hold()

    async def _release(self, lines: list[FaultyLine]) -> None:
        for line in lines:
            line.release()

    async def _drop(self) -> None:
        for each in tuple(self._routes.open):
            each.drop()

    async def _reset(self) -> None:
        for each in tuple(self._routes.open):
            each.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            reset(writer.transport)
            return
        self.accepted += 1
        default = 443 if self._target.scheme == "wss" else 80
        host, port = self._target.hostname or "", self._target.port or default
        await route(reader, writer, (host, port), self._lines, self._routes)
