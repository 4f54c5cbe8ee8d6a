"""
One stream of what arrives on many clients.

Each client keeps its own inbox, with its own bound and policy; the stream takes from those that
have something in turn, so that a client that is flooded does not silence the others.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from wsfleet._client.client import Client
    from wsfleet._client.events import Event


class Merged:
    """The inboxes of a pool, as one."""

    __slots__ = ("_arrived", "_clients", "_ended", "_listeners", "_queued", "_ready")

    def __init__(self) -> None:
        self._clients: set[Client] = set()
        self._ready: deque[Client] = deque()
        self._queued: set[Client] = set()
        self._listeners = 0
        self._ended = False
        self._arrived: anyio.Event | None = None

    def add(self, client: Client) -> None:
        """Merge a client's events in."""
        self._clients.add(client)
        client.inbox.on_arrival = partial(self._mark, client)
        if self._listeners:
            client.inbox.listen()

    def remove(self, client: Client) -> None:
        """
        Merge no more in; what it had is still delivered, so the inbox keeps its listener.
        """
        self._clients.discard(client)
        client.inbox.on_arrival = None

    def end(self) -> None:
        """Let iterations end when all was taken."""
        self._ended = True
        self._wake()

    def listen(self) -> None:
        """Count one more listener."""
        self._listeners += 1
        if self._listeners == 1:
            for client in self._clients:
                client.inbox.listen()

    def unlisten(self) -> None:
        """Count one less."""
        self._listeners -= 1
        if not self._listeners:
            for client in self._clients:
                client.inbox.unlisten()

    def _mark(self, client: Client) -> None:
        if client not in self._queued:
            self._queued.add(client)
            self._ready.append(client)
            self._wake()

    def _wake(self) -> None:
        arrived, self._arrived = self._arrived, None
        if arrived is not None:
            arrived.set()

    async def next(self) -> tuple[Client, Event]:
        """
        Return the next event and whose it is. Cancelling it loses nothing.

        Raises:
            StopAsyncIteration: the supervisor has stopped, and all was taken.
        """
        while True:
            while self._ready:
                client = self._ready.popleft()
                self._queued.discard(client)
                event = client.inbox.take()
                if len(client.inbox):
                    self._mark(client)
                if event is not None:
                    return client, event
            if self._ended:
                raise StopAsyncIteration
            if self._arrived is None:
                self._arrived = anyio.Event()
            await self._arrived.wait()


class MergedListener:
    """One iteration over a pool; it counts as a listener for as long as it exists."""

    __slots__ = ("_merged",)

    def __init__(self, merged: Merged) -> None:
        self._merged = merged
        merged.listen()

    def __del__(self) -> None:
        self._merged.unlisten()

    def __aiter__(self) -> MergedListener:
        """Return itself."""
        return self

    async def __anext__(self) -> tuple[Client, Event]:
        """Return the next client and event; see `Merged.next`."""
        return await self._merged.next()
