"""
Scripts with a memory: one session for each connection of a `MockServer`.

Rule: sessions run on the server's own asyncio loop; nothing here may be called from a test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from websockets.asyncio.server import broadcast

from .messages import encode
from .peer import Handshake

if TYPE_CHECKING:
    from .messages import Handler, Payload, Reply, Sendable
    from .peer import Peer


class MockConnection:
    """The server's end of one connection, in the hands of its session."""

    def __init__(self, peer: Peer) -> None:
        self.handshake: Handshake = Handshake.of(peer.request)
        self._peer = peer
        self._closing: set[asyncio.Task[None]] = set()

    def send(self, message: Sendable) -> None:
        """Send without waiting until it is read; nothing is sent once closed or frozen."""
        if not self._peer.frozen:
            broadcast([self._peer], encode(message))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close, after what was sent; a frozen connection stays as it is."""
        if not self._peer.frozen:
            task = asyncio.get_running_loop().create_task(self._peer.close(code, reason))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def reset(self) -> None:
        """Close the socket with RST."""
        self._peer.reset()


class MockSession:
    """
    What one connection's script remembers; subclass it and give the class to `MockServer`.

    Args:
        connection: sends and closes at any time, not only in answer to a message.
    """

    def __init__(self, connection: MockConnection) -> None:
        self.connection: MockConnection = connection

    def on_open(self) -> None:
        """The client is connected, and gets what is sent here before all else."""

    def on_message(self, message: Payload) -> Reply | Awaitable[Reply]:  # noqa: ARG002
        """
        Return what to answer: a message, a list of messages or None; mappings become JSON.

        It may be async; the next message waits for it. What it raises is raised at the end of
        the server's block.
        """
        return None

    def on_close(self) -> None:
        """The socket is gone, whoever closed it."""


SessionFactory: TypeAlias = Callable[[MockConnection], MockSession]


class HandlerSession(MockSession):
    """A session without a memory: one function answers for every connection."""

    def __init__(self, connection: MockConnection, handler: Handler) -> None:
        super().__init__(connection)
        self._handler = handler

    def on_message(self, message: Payload) -> Reply | Awaitable[Reply]:
        """Ask the handler."""
        return self._handler(message)
