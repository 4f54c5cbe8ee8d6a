"""
The server's end of one connection, which can be reset and frozen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import httpx
from websockets.asyncio.server import ServerConnection

from .changes import Changes
from .sockets import reset

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from websockets.http11 import Request


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client asked for when it connected."""

    path: str
    headers: httpx.Headers

    @classmethod
    def of(cls, request: Request | None) -> Self:
        """Read it from the client's request."""
        if request is None:
            raise RuntimeError("the client has not asked yet")
        return cls(request.path, httpx.Headers(list(request.headers.raw_items())))


@dataclass(slots=True)
class Peers:
    """The connections of one server, and what to do when one is lost."""

    lost: Callable[[Peer], None]
    sockets: set[Peer] = field(default_factory=set)  # from accept to close
    opened: set[Peer] = field(default_factory=set)  # from the handshake's end to close
    changes: Changes = field(default_factory=Changes)


class Peer(ServerConnection):
    """A connection of the `websockets` server that can fail as real ones do."""

    peers: Peers  # set by `peer_class`
    frozen: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the server's sockets, before any handshake."""
        super().connection_made(transport)
        self.peers.sockets.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the server's sockets."""
        self.peers.sockets.discard(self)
        self.peers.opened.discard(self)
        self.peers.lost(self)
        self.peers.changes.note()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, unless frozen: what was read before the pause is lost."""
        if not self.frozen:
            super().data_received(data)

    def freeze(self) -> None:
        """Read and answer nothing more, and keep the socket: the peer is half-open."""
        self.frozen = True
        self.transport.pause_reading()

    def reset(self) -> None:
        """Close the socket with RST."""
        reset(self.transport)


def peer_class(registry: Peers) -> type[Peer]:
    """Return a class of connections that keeps itself in this registry."""
    return type("Peer", (Peer,), {"peers": registry})
