from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.unit.fakes import FakeNetwork
from tests.unit.pool.fleet import A, B, events
from wsfleet import ChildSpec, Client, ClientState, ClientSupervisor
from wsfleet.errors import (
    ConfigError,
    ConnectRefusedError,
    NotConnectedError,
)

if TYPE_CHECKING:
    from collections.abc import MutableMapping


async def test_children_are_connected_when_the_block_begins(network: FakeNetwork) -> None:
    """A pool with its servers up can be sent over from its first line on."""
    async with ClientSupervisor([ChildSpec(A), ChildSpec(B)], opener=network) as pool:
        assert [c.get_state() for c in pool.list_clients()] == [ClientState.CONNECTED] * 2
        assert {(await pool.request_balanced("m")) for _ in range(2)} == {A, B}


async def test_one_dead_server_holds_up_nobody(network: FakeNetwork) -> None:
    """
    A pool begins although one server is down, uses the others, and takes it in when it is back.
    """
    network.server(B).down = True
    async with ClientSupervisor([ChildSpec(A), ChildSpec(B)], opener=network) as pool:
        assert anyio.current_time() < 1
        assert {(await pool.request_balanced("m")) for _ in range(4)} == {A}
        await anyio.sleep(300)
        assert len(pool.list_clients()) == 2
        network.server(B).down = False
        await anyio.sleep(61)
        assert {(await pool.request_balanced("m")) for _ in range(4)} == {A, B}


async def test_an_endpoint_that_hangs_holds_up_for_its_timeout(network: FakeNetwork) -> None:
    """An endpoint that never answers holds the beginning up for its timeout, not longer."""
    network.server(B).refuse(ConnectRefusedError(B, "timeout"))
    async with ClientSupervisor([ChildSpec(B), ChildSpec(A)], opener=network) as pool:
        assert await pool.request_balanced("m") == A


async def test_start_client_returns_a_connected_client(network: FakeNetwork) -> None:
    """start_client waits for the connection, retries included."""
    network.server(A).refuse(ConnectRefusedError(A, "not yet"))
    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(A, name="a")
        assert client.get_state() is ClientState.CONNECTED
        assert pool.list_clients() == [client]


async def test_start_client_that_fails_leaves_no_child(network: FakeNetwork) -> None:
    """A client that cannot connect is raised to its caller, and nothing of it is left."""
    network.server(A).down = True
    async with ClientSupervisor(opener=network) as pool:
        with pytest.raises(ConnectRefusedError, match="gave up after 2"):
            await pool.start_client(A, retry_count=1)
        assert pool.list_clients() == []
        await anyio.sleep(100)
        assert len(network.server(A).attempts) == 2
        with pytest.raises(ConfigError):
            await pool.start_client("http://a/")


async def test_start_client_cancelled_leaves_no_child(network: FakeNetwork) -> None:
    """A caller that gives up on start_client leaves nothing behind."""
    network.server(A).hang = True
    async with ClientSupervisor(opener=network) as pool:
        with anyio.move_on_after(1):
            await pool.start_client(A)
        assert pool.list_clients() == []


@pytest.mark.parametrize("how", ["stop", "close"])
async def test_start_client_of_one_that_is_stopped_meanwhile(
    network: FakeNetwork, how: str, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A client that is stopped before it connected is never returned as if it had."""
    network.server(A).hang = True
    async with ClientSupervisor(opener=network) as pool, anyio.create_task_group() as tasks:

        async def end() -> None:
            await anyio.sleep(1)
            (client,) = pool.list_clients()
            await (pool.stop_client(client) if how == "stop" else client.close())

        tasks.start_soon(end)
        with pytest.raises(NotConnectedError, match="closed"):
            await pool.start_client(A)
        assert pool.list_clients() == []
    assert "supervisor.child_started" not in events(log_entries)


async def test_start_client_while_the_pool_ends(network: FakeNetwork) -> None:
    """Who waits for a client while the pool's block ends is told, and nothing is left."""
    network.server(A).hang = True
    told: list[NotConnectedError] = []

    async def start() -> None:
        with pytest.raises(NotConnectedError) as caught:
            await pool.start_client(A)
        told.append(caught.value)

    async with anyio.create_task_group() as tasks:
        async with ClientSupervisor(opener=network) as pool:
            tasks.start_soon(start)
            await anyio.sleep(1)

    assert len(told) == 1
    assert pool.list_clients() == []


@pytest.mark.parametrize("steps", range(12))
async def test_start_client_cancelled_at_any_step(network: FakeNetwork, steps: int) -> None:
    """
    However far a start has come when its caller gives up, the client is returned or gone, and
    the pool lives on.
    """
    got: list[Client] = []
    async with ClientSupervisor(opener=network) as pool:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:

                async def give_up() -> None:
                    for _ in range(steps):
                        await checkpoint()
                    scope.cancel()

                tasks.start_soon(give_up)
                got.append(await pool.start_client(A))
        await anyio.sleep(1)
        assert pool.list_clients() == got
        assert len(network.server(A).open) == len(got)
        assert (await pool.start_client(B)).get_state() is ClientState.CONNECTED


async def test_names_are_unique(network: FakeNetwork) -> None:
    """Two clients of one pool cannot have the same name; a free name can be had again."""
    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(A, name="a")
        with pytest.raises(ConfigError, match="'a' is taken"):
            await pool.start_client(B, name="a")
        await pool.stop_client(client)
        await pool.start_client(B, name="a")


async def test_children_of_one_name_are_told_at_once(network: FakeNetwork) -> None:
    """
    A second child of the same name ends the beginning at once, and the first is stopped.
    """
    specs = [ChildSpec(A, name="a"), ChildSpec(B, name="a")]
    before = anyio.current_time()
    with pytest.raises(ConfigError, match="'a' is taken"):
        async with ClientSupervisor(specs, opener=network) as pool:
            pytest.fail(f"{pool} began")

    assert anyio.current_time() == before
    assert network.server(A).open == []


def test_a_pool_can_be_made_before_its_event_loop() -> None:
    """Like a client, a supervisor can be made anywhere; only its block needs an event loop."""
    network = FakeNetwork()
    pool = ClientSupervisor([ChildSpec(A)], opener=network)

    async def main() -> int:
        async with pool:
            return len(pool.list_clients())

    assert anyio.run(main) == 1


async def test_a_pool_is_used_inside_its_block(network: FakeNetwork) -> None:
    """Before and after its block a pool starts nothing, and it is entered once."""
    pool = ClientSupervisor(opener=network)
    with pytest.raises(RuntimeError, match="not running"):
        await pool.start_client(A)
    async with pool:
        pass
    with pytest.raises(RuntimeError, match="not running"):
        await pool.start_client(A)
    with pytest.raises(RuntimeError, match="entered once"):
        async with pool:
            pass


@pytest.mark.parametrize(
    "make",
    [
        lambda: ClientSupervisor(max_restarts=-1),
        lambda: ClientSupervisor(max_seconds=0.0),
        lambda: ChildSpec(A, restart="sometimes"),  # type: ignore[arg-type]
        lambda: ChildSpec(A, shutdown=0.0),
        lambda: ChildSpec("nonsense"),
    ],
)
def test_nonsense_is_refused(make: Any) -> None:
    """Arguments that can never work are refused when they are given."""
    with pytest.raises(ConfigError):
        make()
