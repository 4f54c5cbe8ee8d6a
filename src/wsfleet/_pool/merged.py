"""
One stream of what arrives on many clients.

Each client keeps its own inbox, with its own bound and policy; the stream takes from those that
have something in turn, so that a client that is flooded does not silence the others.

Rule: what a client had read when it left the pool is delivered to an iteration that exists.
Without one it is dropped. A slow iteration finds the whole of the client that left last, and at
most `inbox_size` events, or `inbox_bytes`, of those before it: the oldest are dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio.lowlevel import checkpoint

from wsfleet._client.fairness import BURST

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from wsfleet._client.client import Client
    from wsfleet._client.events import Event


_log = structlog.get_logger("wsfleet")


class Merged:
    """The inboxes of a pool, as one."""

    __slots__ = (
        "_arrived",
        "_clients",
        "_ended",
        "_left",
        "_listeners",
        "_ready",
        "_taken",
    )

    def __init__(self) -> None:
        self._clients: set[Client] = set()
        self._left: OrderedDict[Client, None] = OrderedDict()  # that have events, oldest first
        self._ready: OrderedDict[Client, None] = OrderedDict()
        self._listeners = 0
        self._taken = 0  # since the event loop had its turn
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
        Merge no more in: the client has left the pool, and takes no more events in.

        An iteration that exists still gets what the client had.
        """
        self._clients.discard(client)
        client.inbox.on_arrival = None
        if not self._listeners:
            self._drop(client)
        elif len(client.inbox):
            self._make_room(client.config.inbox_size, client.config.inbox_bytes)
            self._left[client] = None

    def _make_room(self, size: int, most: int) -> None:
        """
        Drop the events of the clients that left first, until at most `size` are held of others,
        and at most `most` bytes.
        """
        held = sum(len(client.inbox) for client in self._left)
        weight = sum(client.inbox.weigh() for client in self._left)
        while held > size or weight > most:
            client, _ = self._left.popitem(last=False)
            held -= len(client.inbox)
            weight -= client.inbox.weigh()
            count = self._drop(client)
            _log.warning(
                "supervisor.events_dropped", client=client.name, url=client.url, count=count
            )

    def _drop(self, client: Client) -> int:
        """Drop all events of a client that has left; return how many there were."""
        self._ready.pop(client, None)
        return client.inbox.drop_all()

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
            while self._left:
                self._drop(self._left.popitem()[0])

    def _mark(self, client: Client) -> None:
        if client not in self._ready:
            self._ready[client] = None
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
        if self._taken >= BURST - 1:
            await checkpoint()
            self._taken = 0
        while True:
            while self._ready:
                client, _ = self._ready.popitem(last=False)
                event = client.inbox.take()
                if len(client.inbox):
                    self._ready[client] = None
                else:
                    self._left.pop(client, None)
                if event is not None:
                    self._taken += 1
                    return client, event
            if self._ended:
                await checkpoint()
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

    def __anext__(self) -> Coroutine[Any, Any, tuple[Client, Event]]:
        """Return the next client and event; see `Merged.next`."""
        return self._merged.next()
