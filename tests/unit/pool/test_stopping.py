from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.pool.fleet import A, B, C
from wsfleet import ChildSpec, ClientSupervisor
from wsfleet.errors import (
    ConnectRefusedError,
    HandshakeRejectedError,
)

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.unit.fakes import FakeNetwork


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_a_stopped_client_is_gone(network: FakeNetwork, restart: Any) -> None:
    """
    stop_client says goodbye, leaves no child of any kind, ends its iteration, and can be said
    twice.
    """
    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(A, restart=restart)
        before = anyio.current_time()
        await pool.stop_client(client)
        await pool.stop_client(client)
        assert anyio.current_time() == before
        assert pool.list_clients() == []
        assert network.server(A).link.goodbye == (1000, "")
        assert [event async for event in client] == []


@pytest.mark.parametrize("moment", ["connecting", "waiting", "restarting"])
async def test_a_client_is_stopped_at_any_moment(network: FakeNetwork, moment: str) -> None:
    """A client that connects, or waits to connect or to be restarted, is stopped at once."""
    server = network.server(A)
    if moment == "connecting":
        server.refuse(ConnectRefusedError(A, "once"))
        server.hang = False
    else:
        server.refuse(HandshakeRejectedError(A, "busy", 503, 1000.0))
    retries = 0 if moment == "restarting" else 3
    async with ClientSupervisor([ChildSpec(A, retry_count=retries)], opener=network) as pool:
        (client,) = pool.list_clients()
        server.hang = True
        await anyio.sleep(2 if moment == "connecting" else 0.0)
        before = anyio.current_time()
        await pool.stop_client(client)
        assert anyio.current_time() == before
        assert pool.list_clients() == []


async def test_a_silent_peer_delays_a_stop_by_its_deadline(network: FakeNetwork) -> None:
    """A client that cannot end within its shutdown is cancelled."""
    network.server(A).silent = True
    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(A, shutdown=2.0, close_timeout=100.0)
        before = anyio.current_time()
        await pool.stop_client(client)
        assert anyio.current_time() - before == pytest.approx(2.0)
        assert network.server(A).open == []


async def test_a_stop_that_nobody_waits_for_keeps_its_deadline(network: FakeNetwork) -> None:
    """Giving up on stop_client stops the waiting: the client is gone at its deadline."""
    network.server(A).silent = True
    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(A, shutdown=2.0, close_timeout=100.0)
        with anyio.move_on_after(0.5):
            await pool.stop_client(client)
        assert pool.list_clients() == [client]
        await anyio.sleep(1.6)
        assert pool.list_clients() == []
        assert network.server(A).open == []


async def test_stopping_again_gives_no_more_time(network: FakeNetwork) -> None:
    """A second stop_client neither lengthens nor shortens the first one's deadline."""
    network.server(A).silent = True
    async with (
        ClientSupervisor(opener=network) as pool,
        anyio.create_task_group() as tasks,
    ):
        client = await pool.start_client(A, shutdown=2.0, close_timeout=100.0)
        before = anyio.current_time()
        tasks.start_soon(pool.stop_client, client)
        await anyio.sleep(1.5)
        await pool.stop_client(client)
        assert anyio.current_time() - before == pytest.approx(2.0)


async def test_a_handler_may_stop_its_own_client(network: FakeNetwork) -> None:
    """Nothing waits for itself when a handler stops the client that called it."""

    async def handler(_: Any) -> None:
        await pool.stop_client(pool.list_clients()[0])

    async with ClientSupervisor(opener=network) as pool:
        await pool.start_client(A, handler=handler)
        network.server(A).link.send("go")
        await anyio.sleep(1)
        assert pool.list_clients() == []


@pytest.mark.parametrize("given", ["at start", "later"])
@pytest.mark.parametrize("how", ["normal", "error", "cancelled"])
async def test_the_pool_stops_in_reverse_order(
    network: FakeNetwork, how: str, given: str, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """
    However the block ends, clients are told goodbye and stopped in the reverse order of their
    start.
    """
    goodbyes: list[str] = []
    for url in (A, B, C):
        network.server(url).on_goodbye = partial(goodbyes.append, url)
    specs = [ChildSpec(url, name=name) for name, url in (("a", A), ("b", B), ("c", C))]
    children, later = (specs, []) if given == "at start" else ([], specs)
    with anyio.CancelScope() as scope:
        try:
            async with ClientSupervisor(children, opener=network) as pool:
                for spec in later:
                    await pool.start_client(spec.config, name=spec.name)
                if how == "error":
                    raise KeyError(how)
                if how == "cancelled":
                    scope.cancel()
                    await anyio.sleep_forever()
        except KeyError:
            assert how == "error"

    stopped = [e["client"] for e in log_entries if e["event"] == "supervisor.child_stopped"]
    lost = [e["client"] for e in log_entries if e["event"] == "client.disconnected"]
    assert goodbyes == [C, B, A]
    assert stopped == ["c", "b", "a"]
    assert log_entries[-1]["event"] == "supervisor.stopped"
    assert sorted(lost) == ["a", "b", "c"]
    assert [network.server(url).link.goodbye for url in (A, B, C)] == [(1000, "")] * 3


async def test_silent_peers_do_not_add_up(network: FakeNetwork) -> None:
    """Many clients of a dead venue are stopped within one deadline, not one after the other."""
    network.server(A).silent = True
    async with ClientSupervisor(opener=network) as pool:
        for _ in range(50):
            await pool.start_client(A, shutdown=2.0)
        before = anyio.current_time()

    assert anyio.current_time() - before == pytest.approx(2.0)
