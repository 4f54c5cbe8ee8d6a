"""
The connected clients of a pool, as a list that stays a list: joining and leaving cost O(1).
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint

from wsfleet._client.states import Step
from wsfleet._wire.signals import Changes
from wsfleet.errors import NoConnectionsError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

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
        """
        Those that are connected, in no particular order; some may have lost their connection
        without their own task having run.
        """
        return self._clients

    def count(self, most: int | None = None) -> int:
        """
        Return how many can be sent through now.

        Args:
            most: where the count may end.
        """
        usable = (1 for client in self._clients if client.life.usable is not None)
        return sum(usable if most is None else islice(usable, most))

    async def wait(self, count: int, children: Collection[Client]) -> None:
        """
        Return when so many can be sent through.

        Args:
            count: how many.
            children: all that are under supervision; `wake` is called when one is no more.

        Raises:
            NoConnectionsError: fewer than `count` are under supervision.
        """
        await checkpoint()
        while self.count(count) < count:
            if len(children) < count:
                raise NoConnectionsError(len(children))
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
