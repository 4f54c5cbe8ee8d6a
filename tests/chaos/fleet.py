"""
The fleet of a run: clients that are stopped, started and reconnected while they are used.

Rule: at the end there are as many clients as at the beginning, each with the channels that its
subscribers were told to have.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import anyio

from wsfleet import PingPong, TokenBucket, connect
from wsfleet.errors import SendError, WsfleetError

from .accounting import Violation
from .callers import REQUEST_TIMEOUT

if TYPE_CHECKING:
    import random
    import ssl
    from collections.abc import Sequence

    from wsfleet import Client, ClientOptions, ClientSupervisor, Handler

    from .events import Sequences

CLIENTS: Final = 3
"""Clients of each endpoint."""

RECOVERY: Final = 10.0
"""Seconds after the last fault in which the whole fleet is connected again and answers."""


class Fleet:
    """
    Clients over several endpoints.

    Args:
        pool: that they belong to.
        urls: of the endpoints.
        tls: for the encrypted ones.
        sequences: takes the events.
        rng: chooses what is done to whom.
    """

    def __init__(
        self,
        pool: ClientSupervisor,
        urls: Sequence[str],
        tls: ssl.SSLContext,
        sequences: Sequences,
        rng: random.Random,
    ) -> None:
        self._pool = pool
        self._urls = urls
        self._tls = tls
        self._sequences = sequences
        self._rng = rng
        self._started = 0
        self._channels = 0
        self._wanted: defaultdict[Client, set[str]] = defaultdict(set)
        self._unclear: defaultdict[Client, set[str]] = defaultdict(set)
        self._over = False
        self.actions: int = 0

    def _options(self, name: str, url: str) -> ClientOptions:
        options: ClientOptions = {
            "headers": {"X-Client": name},
            "heartbeat": PingPong(interval=0.5, timeout=0.5),
            "timeout": 1.0,
            "retry_count": None,
            "retry_delay": 0.05,
            "max_backoff": 0.3,
            "request_timeout": REQUEST_TIMEOUT,
            "close_timeout": 0.3,
        }
        if url.startswith("wss"):
            options["ssl_context"] = self._tls
        match self._started % 4:
            case 1:
                options["limiter"] = TokenBucket(capacity=20, refill_rate=60)
            case 2:
                options["inbox_size"] = 4
            case 3:
                options["decode"] = "raw"
        return options

    # the clients

    async def fill(self) -> None:
        """Start clients until each endpoint has all of its own."""
        for url in self._urls:
            while self._count(url) < CLIENTS:
                await self._start(url)

    def _count(self, url: str) -> int:
        return sum(client.config.url == url for client in self._pool.list_clients())

    async def _start(self, url: str) -> None:
        self._started += 1
        name = f"chaos-{self._started}"
        options = self._options(name, url)
        with anyio.move_on_after(2.0):  # as long as nothing listens there
            await self._pool.start_client(
                url, name=name, handler=self._handler(name), shutdown=1.0, **options
            )

    def _handler(self, name: str) -> Handler | None:
        """Return none, a sync one, or one that makes a request for each event."""

        async def ask(event: Any) -> None:
            self._sequences.take(event)
            for client in self._pool.list_clients():
                if client.name == name and not self._over:
                    with contextlib.suppress(SendError):
                        await client.request("state")

        return (None, self._sequences.take, ask)[self._started % 3]

    async def take_events(self) -> None:
        """Take the events of the clients that have no handler."""
        async for _, event in self._pool:
            self._sequences.take(event)

    async def disturb(self) -> None:
        """Stop, close, reconnect and start clients, without end."""
        while True:
            await anyio.sleep(self._rng.uniform(0.05, 0.4))
            self.actions += 1
            client = self._rng.choice(self._pool.list_clients())
            action = self._rng.choice(("stop", "close", "reconnect", "visit", "visit"))
            with anyio.move_on_after(self._rng.choice((0.01, 0.1, 1.0))):
                with contextlib.suppress(WsfleetError):  # an endpoint may be down
                    await self._act(action, client)
            await self.fill()

    async def _act(self, action: str, client: Client) -> None:
        match action:
            case "stop":
                await self._pool.stop_client(client)
            case "close":
                await client.close()
            case "reconnect":
                await client.reconnect()
            case _:
                await self._visit(client.config.url)

    async def _visit(self, url: str) -> None:
        """Use a client outside the pool, for a moment."""
        async with connect(url, **self._options("visitor", url)) as client:
            await client.request("state")

    # their channels

    async def subscribe(self) -> None:
        """Subscribe and unsubscribe, without end."""
        while True:
            client = self._rng.choice(self._pool.list_clients())
            self._channels += 1
            name = f"channel-{self._channels}"
            with anyio.move_on_after(self._rng.choice((0.02, 5.0, 5.0))):
                with contextlib.suppress(SendError):  # then it does not count as subscribed
                    await client.subscribe(name)
                    self._wanted[client].add(name)
                    if self._rng.random() < 0.6:
                        await self._unsubscribe(client, name)
            await anyio.sleep(self._rng.uniform(0.0, 0.1))

    async def _unsubscribe(self, client: Client, name: str) -> None:
        self._wanted[client].discard(name)
        self._unclear[client].add(name)
        await client.unsubscribe(name)
        self._unclear[client].discard(name)

    # the end

    async def recover(self) -> list[Violation]:
        """Wait until all clients answer as they should; return what is wrong by then."""
        wrong: list[Client] = []
        with anyio.move_on_after(RECOVERY):
            while True:
                await self.fill()
                wrong = self._pool.list_clients()
                async with anyio.create_task_group() as tasks:
                    for client in self._pool.list_clients():
                        tasks.start_soon(self._look, client, wrong)
                if not wrong:
                    return []
                await anyio.sleep(0.05)
        return [Violation("whole_again_in_time", repr(client)) for client in wrong]

    async def _look(self, client: Client, wrong: list[Client]) -> None:
        """Strike a client whose server is calm and has the channels that it should have."""
        wanted, unclear = self._wanted[client], self._unclear[client]
        try:
            state = await client.request("state")
        except SendError:
            return
        has = set(state["channels"])
        if state["calm"] and wanted <= has <= wanted | unclear:
            wrong.remove(client)

    async def pending(self) -> list[Violation]:
        """Make no more requests; return the slots of those that are over."""
        self._over = True
        clients = self._pool.list_clients()
        with anyio.move_on_after(RECOVERY):
            while any(client._requests.waiting for client in clients):  # noqa: ASYNC110 - a dict
                await anyio.sleep(0.01)
        slots = ((client, list(client._requests.waiting)) for client in clients)
        return [Violation("no_slot_left", f"{c}: {waiting}") for c, waiting in slots if waiting]
