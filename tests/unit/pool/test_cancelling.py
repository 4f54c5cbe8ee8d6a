"""
Each async method of a supervisor is cancelled after any number of turns of the event loop: the
cancellation comes out, nothing is left behind, and the pool goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel
import pytest

from tests.turns import Cut, sweep
from tests.unit.fakes import FakeNetwork
from tests.unit.pool.fleet import A, B, C
from wsfleet import ChildSpec, ClientSupervisor, Message
from wsfleet.testing.virtual_time import all_tasks_blocked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wsfleet import Client


def three_servers() -> FakeNetwork:
    """Return servers that answer each request with their URL."""
    network = FakeNetwork()
    for url in (A, B, C):
        network.server(url).answer = lambda request, url=url: url if "id" in request else None
    return network


def open_links(network: FakeNetwork) -> int:
    """Return how many connections the servers have."""
    return sum(len(server.open) for server in network.servers.values())


def requests(network: FakeNetwork, method: str) -> int:
    """Return how often a method was called, over all servers and connections."""
    texts = [
        text
        for server in network.servers.values()
        for link in server.links
        for text in link.texts
    ]
    return sum(f'"{method}"' in text for text in texts)


async def check_usable(pool: ClientSupervisor) -> None:
    """Fail unless the pool answers a request, and nothing waits in it."""
    await all_tasks_blocked()
    assert await pool.request_balanced("ping") in {A, B, C}
    for client in pool.list_clients():
        assert client.pending == 0
        assert client._requests.waiting == {}


@pytest.mark.parametrize("down", [False, True])
async def test_a_block(down: bool) -> None:
    """Entering and leaving a supervisor's block leaves no connection open."""

    async def scenario(cut: Cut) -> None:
        network = three_servers()
        network.server(B).down = down
        pool = ClientSupervisor([ChildSpec(A), ChildSpec(B)], opener=network)

        async def block() -> None:
            async with pool:
                assert await pool.request_balanced("m") in {A, B}

        await cut(block)
        assert open_links(network) == 0
        assert pool.list_clients() == []

    await sweep(scenario)


@pytest.mark.parametrize("refused", [False, True])
async def test_start_client(refused: bool) -> None:
    """A cancelled `start_client` leaves no child, and its name is free."""

    async def scenario(cut: Cut) -> None:
        network = three_servers()
        network.server(B).down = refused
        async with ClientSupervisor([ChildSpec(A)], opener=network) as pool:

            async def heal() -> None:
                await anyio.sleep(0.6)
                network.server(B).down = False

            await cut(lambda: pool.start_client(B, name="b"), heal)
            await all_tasks_blocked()
            network.server(B).down = False
            children = 1 if cut.cancelled else 2
            assert len(pool.list_clients()) == children
            assert open_links(network) == children
            if cut.cancelled:
                await pool.start_client(B, name="b")
            await pool.wait_connected(2)
            await check_usable(pool)
        assert open_links(network) == 0

    await sweep(scenario)


@pytest.mark.parametrize("silent", [False, True])
async def test_stop_client(silent: bool) -> None:
    """A cancelled `stop_client` stops the client all the same, within its `shutdown`."""

    async def scenario(cut: Cut) -> None:
        network = three_servers()
        async with ClientSupervisor([ChildSpec(A)], opener=network) as pool:
            client = await pool.start_client(B, name="b", shutdown=2.0)
            network.server(B).silent = silent
            await cut(lambda: pool.stop_client(client))
            await anyio.sleep(5)
            assert len(pool.list_clients()) == 1
            assert network.server(B).open == []
            assert client.get_state() == "disconnected"
            await check_usable(pool)

    await sweep(scenario)


BALANCED: Final[Sequence[Callable[..., Any]]] = (
    lambda pool, **how: pool.send_balanced({"note": "m"}, **how),
    lambda pool, **how: pool.send_balanced({"id": "mine", "method": "m"}, **how),
    lambda pool, **how: pool.request_balanced("m", **how),
)


@pytest.mark.parametrize("stuck", [False, True])
@pytest.mark.parametrize("send", BALANCED, ids=["send", "send by id", "request"])
async def test_a_balanced_message(send: Callable[..., Any], stuck: bool) -> None:
    """A cancelled message was sent once, over one client, or not at all."""

    async def scenario(cut: Cut) -> None:
        network = three_servers()
        async with ClientSupervisor([ChildSpec(A), ChildSpec(B)], opener=network) as pool:

            async def discovery() -> Sequence[Client]:
                await anyio.lowlevel.checkpoint()
                return pool.list_clients()

            if stuck:
                network.server(A).link.fill()
                network.server(B).link.fill()
            await cut(
                lambda: send(pool, client_discovery=discovery), lambda: make_room(network)
            )
            await all_tasks_blocked()
            assert requests(network, "m") <= 1
            assert cut.cancelled or requests(network, "m") == 1
            await make_room(network)
            await pool.wait_connected(2)
            await check_usable(pool)

    await sweep(scenario)


async def make_room(network: FakeNetwork) -> None:
    """Lose one of two connections that are full, and let the other have room again."""
    await anyio.sleep(1)
    if network.server(A).link.full:
        network.server(A).link.drop()
    await anyio.sleep(1)
    network.server(B).link.drain()


async def test_wait_connected() -> None:
    """A cancelled wait changes nothing."""

    async def scenario(cut: Cut) -> None:
        network = three_servers()
        async with ClientSupervisor([ChildSpec(A), ChildSpec(B)], opener=network) as pool:
            network.server(B).link.drop()
            await all_tasks_blocked()
            await cut(lambda: pool.wait_connected(2))
            await pool.wait_connected(2)
            await check_usable(pool)

    await sweep(scenario)


async def test_iteration() -> None:
    """A cancelled iteration loses no event, and takes none twice."""

    async def scenario(cut: Cut) -> None:
        network = three_servers()
        async with ClientSupervisor([ChildSpec(A)], opener=network) as pool:
            stream = aiter(pool)
            got: list[Any] = []

            async def listen() -> None:
                async for _, event in stream:
                    got.append(event)
                    if len(got) == 3:
                        return

            async def push() -> None:
                for n in range(3):
                    network.server(A).link.send(n)
                    await anyio.sleep(1)

            await cut(listen, push)
            if cut.cancelled:
                network.server(A).link.send("last")
                while got[-1:] != [Message("last")]:
                    got.append((await anext(stream))[1])
                got.pop()
            numbers = [event.data for event in got]
            assert numbers == list(range(len(numbers)))
            await check_usable(pool)

    await sweep(scenario)
