"""
The connected clients of a pool, as a list that stays a list: joining and leaving cost O(1).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wsfleet._client.states import Step
from wsfleet._wire.signals import Changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsfleet._client.client import Client


class Ready:
    """Follows the clients that it watches."""

    __slots__ = ("_clients", "_joined", "_places")

    def __init__(self) -> None:
        self._clients: list[Client] = []
        self._places: dict[Client, int] = {}
        self._joined = Changes()

    @property
    def clients(self) -> Sequence[Client]:
        """Those that are connected, in no particular order."""
        return self._clients

    async def change(self) -> None:
        """Return when a client has joined, or `wake` was called."""
        await self._joined.next()

    def wake(self) -> None:
        """Let those who wait for a change look again."""
        self._joined.tell()

    def watch(self, client: Client) -> None:
        """Follow a client's connections from here on."""
        client.life.watchers.append(partial(self._follow, client))

    def _follow(self, client: Client, step: Step) -> None:
        if step is Step.OPEN:
            self._join(client)
        elif step is Step.LOSE:
            self._leave(client)

    def _join(self, client: Client) -> None:
        self._places[client] = len(self._clients)
        self._clients.append(client)
        self.wake()

    def _leave(self, client: Client) -> None:
        place = self._places.pop(client)
        last = self._clients.pop()
        if last is not client:
            self._clients[place] = last
            self._places[last] = place
