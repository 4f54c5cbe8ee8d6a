"""Events of clients that have left a pool: delivered where somebody listens, and bounded."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import anyio

from tests.unit.pool.fleet import A, events, explode
from wsfleet import Client, ClientSupervisor
from wsfleet.testing.virtual_time import all_tasks_blocked

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.unit.fakes import FakeNetwork


async def clients() -> int:
    """Return how many clients there are in this process."""
    await all_tasks_blocked()  # the event loop lets go of the last task
    gc.collect()
    return sum(type(o) is Client for o in gc.get_objects())


async def come_and_go(
    network: FakeNetwork, pool: ClientSupervisor, times: int, messages: int, **options: Any
) -> None:
    """Start clients that are sent messages, and stop them."""
    for _ in range(times):
        client = await pool.start_client(A, **options)
        for n in range(messages):
            network.server(A).link.send(n)
        await pool.stop_client(client)
        network.server(A).links.clear()


async def test_without_an_iteration_nothing_is_kept(network: FakeNetwork) -> None:
    """A pool that is only sent through keeps no client that has left, and no event of it."""
    before = await clients()
    async with ClientSupervisor(opener=network) as pool:
        await come_and_go(network, pool, 20, 5)
        await come_and_go(network, pool, 20, 5, handler=lambda _: None)
        assert await clients() == before


async def test_an_iteration_that_takes_nothing_holds_a_bounded_number(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """
    Of the clients that left, the latest events are held, about one inbox of them; what is
    dropped is counted and logged.
    """
    async with ClientSupervisor(opener=network) as pool:
        stream = aiter(pool)
        await come_and_go(network, pool, 100, 5, inbox_size=20)
        left = list(pool._merged._left)
        assert 20 <= sum(len(client.inbox) for client in left) <= 25
        dropped = [e for e in log_entries if e["event"] == "supervisor.events_dropped"]
        assert len(dropped) == 100 - len(left)
        assert {entry["count"] for entry in dropped} == {5}
        got = [(await anext(stream))[0] for _ in range(5 * len(left))]
        assert set(got) == set(left)
        assert not pool._merged._left
        del stream


async def test_large_events_of_clients_that_left_are_bounded_by_their_bytes(
    network: FakeNetwork,
) -> None:
    """Few large events take no more room than many small ones."""
    async with ClientSupervisor(opener=network) as pool:
        stream = aiter(pool)
        for _ in range(20):
            client = await pool.start_client(A, inbox_bytes=100_000, decode="raw")
            network.server(A).link.send("x" * 40_000)
            await pool.stop_client(client)
        assert len(pool._merged._left) <= 4
        del stream


async def test_leaving_the_iteration_drops_what_was_left(network: FakeNetwork) -> None:
    """When the last iteration goes, what it would have got of clients that left goes too."""
    before = await clients()
    async with ClientSupervisor(opener=network) as pool:
        stream = aiter(pool)
        await come_and_go(network, pool, 10, 5)
        assert await clients() == before + 10
        del stream
        assert await clients() == before


async def test_one_client_that_leaves_is_delivered_whole(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """An iteration that keeps up loses nothing, however often clients come and go."""
    got: list[Any] = []

    async def listen() -> None:
        got.extend([event.data async for _, event in pool])

    async with (
        anyio.create_task_group() as tasks,
        ClientSupervisor(opener=network) as pool,
    ):
        tasks.start_soon(listen)
        await anyio.sleep(1)
        for _ in range(30):
            await come_and_go(network, pool, 1, 30, inbox_size=40)
            await anyio.sleep(1)

    assert got == list(range(30)) * 30
    assert "supervisor.events_dropped" not in events(log_entries)


async def test_a_client_that_is_restarted_for_ever_grows_nothing(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A client that crashes and is started again holds what it held before."""
    async with ClientSupervisor(opener=network, max_restarts=1000) as pool:
        client = await pool.start_client(A, handler=explode, restart="permanent")
        await client.wait_connected()
        counts = []
        for n in range(20):
            network.server(A).link.send("boom")
            network.server(A).links.clear()
            await anyio.sleep(100)
            await client.wait_connected()
            log_entries.clear()
            if n in {4, 19}:
                gc.collect()
                counts.append(len(gc.get_objects()))
        assert pool.pool_health()[0].restarts == 20
        assert len(client.life.watchers) == 2
        assert counts[1] - counts[0] < 40
