"""The servers of one fault: badly behaved at first, and good afterwards."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import anyio

from wsfleet.testing.changes import Changes
from wsfleet.testing.streams import StreamListener

from .peer import Peer, good

if TYPE_CHECKING:
    import ssl
    from types import TracebackType
    from typing import Self

    from wsfleet.testing.background import BackgroundLoop

    from .peer import Script


class Stage:
    """
    Servers on 127.0.0.1 for as long as the block lasts.

    Args:
        loop: runs them.
        serve: plays the first connections.
        bad: how many of them; later ones are served well.
        tls: for a server with TLS.
        listens: whether the port is open from the beginning.

    Attributes:
        accepted: connections that the server has accepted.
        told: the codes of the clients' close frames.
        asked: the methods that were called.
    """

    def __init__(
        self,
        loop: BackgroundLoop,
        serve: Script,
        *,
        bad: float = 1,
        tls: ssl.SSLContext | None = None,
        listens: bool = True,
    ) -> None:
        self.bad = bad
        self.accepted = 0
        self.told: list[int] = []
        self.asked: list[str] = []
        self.failure: Exception | None = None  # of a script
        self._loop = loop
        self._serve = serve
        self._scheme = "ws" if tls is None else "wss"
        self._listens = listens
        self._held: list[socket.socket] = []
        self._changes = Changes()
        self._listener = StreamListener(self._play, tls)
        self._other = StreamListener(self._play_other)

    @property
    def port(self) -> int:
        """Where the server listens."""
        return self._listener.port

    @property
    def url(self) -> str:
        """The server's address."""
        return f"{self._scheme}://127.0.0.1:{self.port}/"

    @property
    def other_url(self) -> str:
        """The address of another server, which is a good one."""
        return f"ws://127.0.0.1:{self._other.port}/"

    async def __aenter__(self) -> Self:
        """Listen, or hold the port."""
        if self._listens:
            await self.start()
        else:
            self._listener.port = self.hold_port()
        await self._loop.call(self._other.start)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all connections, and raise what a script raised."""
        self._release()
        with anyio.move_on_after(5, shield=True):
            await self._loop.call(self._listener.stop)
            await self._loop.call(self._other.stop)
        if error is None and self.failure is not None:
            raise self.failure

    def hold_port(self, backlog: int | None = None) -> int:
        """
        Return a port that nobody else gets and nobody serves.

        Args:
            backlog: listen there and accept nobody; None refuses all.
        """
        held = socket.socket()
        self._held.append(held)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        if backlog is not None:
            held.listen(backlog)
        port: int = held.getsockname()[1]
        return port

    def fill_backlog(self) -> int:
        """Return a port where so many wait to be accepted that no other can connect."""
        port = self.hold_port(0)
        for _ in range(4):
            waiting = socket.socket()
            self._held.append(waiting)
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        return port

    def _release(self) -> None:
        for held in self._held:
            held.close()
        self._held.clear()

    async def start(self) -> None:
        """Listen."""
        self._release()
        await self._loop.call(self._listener.start)

    async def stop(self) -> None:
        """Stop listening, and reset every connection."""
        await self._loop.call(self._listener.stop)

    def note(self) -> None:
        """Say that something has changed for which somebody may wait."""
        self._changes.note()

    async def until(self, condition: Any, timeout: float = 10.0) -> None:
        """Wait until a condition holds that depends on the scripts."""
        await self._loop.call(self._changes.wait_until, condition, timeout)

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        peer = Peer(reader, writer, self.accepted, self)
        await self._run(self._serve if self.accepted <= self.bad else good, peer)

    async def _play_other(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await self._run(good, Peer(reader, writer, 1, self))

    async def _run(self, script: Script, peer: Peer) -> None:
        try:
            await script(peer)
        except (OSError, asyncio.IncompleteReadError):
            return  # the client left
        except Exception as error:  # noqa: BLE001 - raised at the block's end
            self.failure = self.failure or error
        finally:
            self._changes.note()
