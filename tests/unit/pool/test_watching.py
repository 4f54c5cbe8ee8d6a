from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.pool.fleet import A, B, C, events
from wsfleet import ChildSpec, ClientSupervisor, Gap, Message

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.unit.fakes import FakeNetwork


async def test_one_stream_of_all_events(network: FakeNetwork) -> None:
    """
    Events of all clients without a handler arrive in one stream, with their client, and the
    stream ends with the pool.
    """
    got: list[Any] = []

    async def listen() -> None:
        got.extend([(client.name, event) async for client, event in pool])

    async with anyio.create_task_group() as tasks:
        async with ClientSupervisor([ChildSpec(A, name="a")], opener=network) as pool:
            network.server(A).link.send(0)
            tasks.start_soon(listen)
            await anyio.sleep(1)
            await pool.start_client(B, name="b")
            await pool.start_client(C, name="c", handler=lambda _: None)
            for n, url in enumerate((A, B, C), 1):
                network.server(url).link.send(n)
            await anyio.sleep(1)
            network.server(A).link.drop()
            await anyio.sleep(5)
            network.server(A).link.send(4)
            await anyio.sleep(1)

    assert [(name, event) for name, event in got if isinstance(event, Message)] == [
        ("a", Message(0)),
        ("a", Message(1)),
        ("b", Message(2)),
        ("a", Message(4)),
    ]
    assert [name for name, event in got if isinstance(event, Gap)] == ["a"]


async def test_a_flood_does_not_silence_the_others(network: FakeNetwork) -> None:
    """The stream takes from the clients in turn, and only the flooding one is paused."""
    specs = [ChildSpec(A, name="a", inbox_size=10), ChildSpec(B, name="b", inbox_size=10)]
    async with ClientSupervisor(specs, opener=network) as pool:
        stream = aiter(pool)
        for n in range(100):
            network.server(A).link.send(n)
        for n in range(3):
            network.server(B).link.send(n)
        assert network.server(A).link.reading_paused
        assert not network.server(B).link.reading_paused
        first = [(await anext(stream))[0].name for _ in range(6)]
        rest = [(await anext(stream)) for _ in range(97)]
        assert first.count("b") == 3
        assert [event.data for client, event in rest if client.name == "a"][-1] == 99
        del stream


async def test_leaving_the_stream_lets_the_connections_go_on(network: FakeNetwork) -> None:
    """After the stream was left nobody listens: reading goes on and requests are answered."""
    async with ClientSupervisor([ChildSpec(A, inbox_size=2)], opener=network) as pool:
        for n in range(10):
            network.server(A).link.send(n)
        async for _ in pool:
            for n in range(10):
                network.server(A).link.send(n)
            assert network.server(A).link.reading_paused
            break
        assert not network.server(A).link.reading_paused
        assert await pool.request_balanced("m") == A


async def test_pool_health_has_a_row_for_each(network: FakeNetwork) -> None:
    """
    pool_health tells name, redacted URL, state, health, load, latency, errors and restarts.
    """
    url = "ws://user:secret@d/?key=secret"
    network.server(url).answer = lambda _: None
    network.server(B).down = True
    specs = [ChildSpec(url, name="d"), ChildSpec(B, name="b"), ChildSpec(A, name="a")]
    async with (
        ClientSupervisor(specs, opener=network) as pool,
        anyio.create_task_group() as tasks,
    ):
        await pool.list_clients()[2].request("m")
        tasks.start_soon(pool.list_clients()[0].request, "m")
        await anyio.sleep(0.1)
        d, b, a = pool.pool_health()
        network.server(url).link.send({"id": 1, "result": 0})

    assert (d.name, d.url, d.state, d.pending, d.health) == (
        "d",
        "ws://***@d/?key=***",
        "connected",
        1,
        90.0,
    )
    assert (b.name, b.state, b.health, b.p99) == ("b", "disconnected", 0.0, None)
    assert (a.name, a.errors, a.restarts) == ("a", 0, 0)
    assert a.p99 == pytest.approx(0.0)


async def test_the_whole_life_of_a_pool_is_logged(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """
    Start, loss, reconnect, failure, restart and stop are each one event, in order, with their
    keys.
    """
    async with ClientSupervisor(
        [ChildSpec("ws://user:secret@a/?k=secret", name="a", retry_count=1)], opener=network
    ):
        server = network.server("ws://user:secret@a/?k=secret")
        server.link.drop()
        await anyio.sleep(1.1)
        server.link.drop()
        await anyio.sleep(1.1)

    assert events(log_entries) == [
        "supervisor.started",
        "client.connecting",
        "client.connected",
        "supervisor.child_started",
        "client.disconnected",
        "client.reconnect_scheduled",
        "client.connecting",
        "client.connected",
        "client.disconnected",
        "client.failed",
        "supervisor.child_restarting",
        "client.connecting",
        "client.connected",
        "supervisor.child_started",
        "client.disconnected",
        "client.closed",
        "supervisor.child_stopped",
        "supervisor.stopped",
    ]
    for entry in log_entries:
        if entry["event"].startswith("client."):
            assert {"client", "url", "generation"} <= entry.keys()
        if "url" in entry:
            assert entry["url"] == "ws://***@a/?k=***"
    assert "secret" not in repr(log_entries)
