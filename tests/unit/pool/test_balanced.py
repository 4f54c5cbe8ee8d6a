from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.pool.fleet import A, B, C, events
from wsfleet import ChildSpec, Client, ClientSupervisor
from wsfleet._client.states import Step
from wsfleet._pool.ready import Ready
from wsfleet.errors import (
    DisconnectedError,
    NoConnectionsError,
)

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.unit.fakes import FakeNetwork


async def test_a_request_in_flight_is_told_and_not_repeated(network: FakeNetwork) -> None:
    """
    A server that dies with a request in flight: the caller is told sent=None, nobody gets it
    twice.
    """
    for url in (A, B):
        network.server(url).answer = None
    async with ClientSupervisor([ChildSpec(A), ChildSpec(B)], opener=network) as pool:

        async def kill() -> None:
            await anyio.sleep(1)
            busy = next(url for url in (A, B) if network.server(url).link.texts)
            network.server(busy).die()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill)
            with pytest.raises(DisconnectedError) as caught:
                await pool.send_balanced({"id": 1, "method": "order"})
        assert caught.value.sent is None

    texts = [
        text for url in (A, B) for link in network.server(url).links for text in link.texts
    ]
    assert len(texts) == 1


async def test_a_connection_lost_before_the_send_is_failed_over(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """
    A connection lost while the message waited for room: another client sends it, the caller
    sees its answer.
    """
    specs = [ChildSpec(A, name="a"), ChildSpec(B, name="b")]
    async with ClientSupervisor(specs, opener=network) as pool:
        for url in (A, B):
            network.server(url).link.fill()
        answers: list[Any] = []

        async def send() -> None:
            answers.append(await pool.request_balanced("m"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await anyio.sleep(1)
            first, second = (A, B) if pool.list_clients()[0].pending else (B, A)
            network.server(second).link.drain()
            network.server(first).die()
        assert answers == [second]

    failovers = [e for e in log_entries if e["event"] == "pool.failover"]
    assert len(failovers) == 1
    assert {failovers[0]["client"], failovers[0]["to"]} == {"a", "b"}
    assert failovers[0]["attempt"] == 1


async def test_a_slow_client_has_its_share_again_within_seconds(network: FakeNetwork) -> None:
    """
    Three slow replies cost a client its share for some seconds, not for thousands of messages.
    """
    a = network.server(A)
    async with ClientSupervisor([ChildSpec(A), ChildSpec(B)], opener=network) as pool:
        slow, _ = pool.list_clients()
        a.answer = None
        for n in range(3):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(slow.send_message, {"id": n, "method": "slow"})
                await anyio.sleep(2)
                a.link.send({"id": n, "result": None})
        a.answer = lambda _: A
        assert {(await pool.request_balanced("m")) for _ in range(10)} == {B}
        await anyio.sleep(4)
        answers = [await pool.request_balanced("m") for _ in range(10)]
        assert answers.count(A) == 5


async def test_a_recovered_client_has_its_share_again_within_seconds(
    network: FakeNetwork,
) -> None:
    """
    A client that lost its connection with many requests in flight is used again soon after it
    is back.
    """
    a = network.server(A)
    async with ClientSupervisor([ChildSpec(A), ChildSpec(B)], opener=network) as pool:
        a.answer = None
        client = pool.list_clients()[0]
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                with pytest.raises(DisconnectedError):
                    await client.request("m")

            for _ in range(20):
                tasks.start_soon(ask)
            await anyio.sleep(1)
            a.link.drop()
        a.answer = lambda _: A
        await anyio.sleep(4)
        answers = [await pool.request_balanced("m") for _ in range(10)]
        assert answers.count(A) == 5


async def test_busy_clients_get_less(network: FakeNetwork) -> None:
    """Requests in flight weigh: two hundred at once are spread evenly."""
    for url in (A, B, C):
        network.server(url).answer = None
    async with ClientSupervisor([ChildSpec(u) for u in (A, B, C)], opener=network) as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(pool.request_balanced, "m")
            await anyio.sleep(1)
            pending = [row.pending for row in pool.pool_health()]
            for url in (A, B, C):
                network.server(url).answer_all(0)
        assert pending == [10, 10, 10]


async def test_no_connection_anywhere(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """With all servers down a message is refused at once."""
    network.server(A).down = True
    async with ClientSupervisor([ChildSpec(A)], opener=network) as pool:
        before = anyio.current_time()
        with pytest.raises(NoConnectionsError, match="none of 1 clients"):
            await pool.send_balanced("m")
        assert anyio.current_time() == before

    assert "pool.no_connections" in events(log_entries)


async def test_stopped_and_foreign_clients_are_passed_over(network: FakeNetwork) -> None:
    """
    Discovery may name clients that were stopped, or that another pool owns: the fit ones are
    used.
    """
    async with (
        ClientSupervisor([ChildSpec(A)], opener=network) as pool,
        ClientSupervisor([ChildSpec(B)], opener=network) as other,
    ):
        (stopped,) = pool.list_clients()
        await pool.stop_client(stopped)
        found = [stopped, *other.list_clients(), stopped]
        message = {"id": 1, "method": "m"}
        answer = await pool.send_balanced(message, client_discovery=lambda: found)
        assert answer == {"id": 1, "result": B}


async def test_two_pools_may_route_over_one_client(network: FakeNetwork) -> None:
    """
    Requests that two pools send over the same client at once have ids of their own.
    """
    a = network.server(A)
    a.answer = None
    async with (
        ClientSupervisor([ChildSpec(A)], opener=network) as pool,
        ClientSupervisor(opener=network) as other,
        anyio.create_task_group() as tasks,
    ):

        async def ask(one: ClientSupervisor) -> None:
            answer = await one.request_balanced("m", client_discovery=pool.list_clients)
            assert answer == 0

        tasks.start_soon(ask, pool)
        tasks.start_soon(ask, other)
        await anyio.sleep(1)
        assert len(a.link.texts) == 2
        a.answer_all(0)


@settings(deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=40))
def test_the_connected_ones_are_known_whoever_comes_and_goes(
    steps: list[tuple[bool, int]],
) -> None:
    """
    In whatever order connections come and go, exactly the connected clients are routed to.
    """
    ready = Ready()
    clients = [Client(A) for _ in range(5)]
    for client in clients:
        ready.watch(client)
    connected: set[int] = set()
    for comes, number in steps:
        if comes is not (number in connected):
            connected ^= {number}
            for watcher in clients[number].life.watchers:
                watcher(Step.OPEN if comes else Step.LOSE)
        assert len(ready.clients) == len(connected)
        assert set(ready.clients) == {clients[n] for n in connected}


async def test_who_waits_for_connections_is_told_when_there_will_be_none(
    network: FakeNetwork,
) -> None:
    """wait_connected raises as soon as too few clients are left, and not at some timeout."""
    network.server(A).down = True
    spec = ChildSpec(A, restart="temporary", retry_count=1)
    async with ClientSupervisor([spec], opener=network) as pool:
        with pytest.raises(NoConnectionsError):
            await pool.wait_connected()
        assert pool.list_clients() == []


async def test_failing_over_is_told_step_by_step(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """Each candidate that could not send is one event, between loss and answer."""
    specs = [ChildSpec(url, name=url[5], retry_count=0, restart="temporary") for url in (A, B)]
    async with ClientSupervisor(specs, opener=network) as pool:
        for url in (A, B):
            network.server(url).link.fill()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pool.request_balanced, "m")
            await anyio.sleep(1)
            first, second = (A, B) if pool.list_clients()[0].pending else (B, A)
            log_entries.clear()
            network.server(first).link.drop()
            await anyio.sleep(1)
            network.server(second).link.drain()

    # The sender and the client are two tasks: who goes first is the event loop's choice.
    assert [e for e in events(log_entries, of=first[5]) if e != "pool.failover"] == [
        "client.disconnected",
        "client.failed",
        "supervisor.child_stopped",
    ]
    (failover,) = (e for e in log_entries if e["event"] == "pool.failover")
    assert failover.keys() == {"event", "log_level", "client", "to", "attempt", "error"}
    assert (failover["to"], failover["attempt"]) == (second[5], 1)


async def test_waiting_for_connections(network: FakeNetwork) -> None:
    """
    wait_connected returns when so many are connected, and raises when there never will be.
    """
    network.server(B).down = True
    async with ClientSupervisor([ChildSpec(A), ChildSpec(B)], opener=network) as pool:
        await pool.wait_connected()
        network.server(B).down = False
        await pool.wait_connected(2)
        assert len([r for r in pool.pool_health() if r.state == "connected"]) == 2
        with pytest.raises(NoConnectionsError):
            await pool.wait_connected(3)
