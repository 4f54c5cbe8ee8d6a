from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.unit.pool.fleet import A, B, events, explode
from wsfleet import ChildSpec, ClientState, ClientSupervisor, Gap, Message
from wsfleet.errors import (
    HandshakeRejectedError,
    RestartLimitError,
)

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.unit.fakes import FakeNetwork


async def test_a_crash_is_restarted_and_paced(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A client whose handler raised lives again, as the same object, after a short wait."""
    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(A, name="a", handler=explode)
        other = await pool.start_client(B, name="b")
        network.server(A).link.send("boom")
        await anyio.sleep(1.1)
        assert pool.list_clients() == [client, other]
        assert client.get_state() is ClientState.CONNECTED
        assert other.life.generation == 1
        assert network.server(A).links[0].goodbye == (1011, "the client's handler failed")

    assert events(log_entries, of="a") == [
        "client.connecting",
        "client.connected",
        "supervisor.child_started",
        "client.disconnected",
        "client.crashed",
        "supervisor.child_restarting",
        "client.connecting",
        "client.connected",
        "supervisor.child_started",
        "client.disconnected",
        "client.closed",
        "supervisor.child_stopped",
    ]


async def test_a_restart_waits_for_what_the_server_asked_for(network: FakeNetwork) -> None:
    """A client that failed with a `Retry-After` is not started again before that time."""
    network.server(A).refuse(HandshakeRejectedError(A, "busy", 503, 60.0))
    spec = ChildSpec(A, retry_count=0)
    async with ClientSupervisor([spec], opener=network) as pool:
        await pool.wait_connected(1)

    first, second = network.server(A).attempts
    assert 60.0 < second - first <= 66.0


async def test_waits_between_restarts_grow(network: FakeNetwork) -> None:
    """A client that crashes again and again is started again less and less often."""
    starts: list[float] = []

    def on_connect(_: Any) -> None:
        starts.append(anyio.current_time())
        network.server(A).link.send("boom")

    async with ClientSupervisor(max_restarts=1000, opener=network) as pool:
        await pool.start_client(A, handler=explode, on_connect=on_connect)
        await anyio.sleep(600)

    waits = [b - a for a, b in pairwise(starts)]
    assert max(waits[:2]) <= 2.0
    assert 5 < sum(waits[-10:]) / 10 < 25
    assert max(waits) <= 30.0


async def test_a_client_that_was_stable_is_restarted_soon_again(
    network: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Waits before restarts grow with each in a row, and start afresh after a life with a stable
    connection, though its last one was short.
    """
    monkeypatch.setattr(random, "uniform", lambda _, ceiling: ceiling)
    starts: list[float] = []

    def on_connect(_: Any) -> None:
        starts.append(anyio.current_time())

    server = network.server(A)
    options: Any = {"handler": explode, "on_connect": on_connect, "stable_after": 10.0}
    async with ClientSupervisor(max_restarts=1000, opener=network) as pool:
        await pool.start_client(A, **options)
        for wait in (1, 2, 4, 8):
            server.link.send("boom")
            await anyio.sleep(wait + 0.5)
        await anyio.sleep(20)
        server.link.drop()
        await anyio.sleep(1.5)
        for wait in (1, 2, 4):
            server.link.send("boom")
            await anyio.sleep(wait + 0.5)

    waits = [round(b - a, 3) for a, b in pairwise(starts)]
    assert waits == [1.0, 2.5, 4.5, 8.5, 21.5, 1.5, 2.5, 4.5]


async def test_an_error_of_the_block_while_the_limit_is_reached(network: FakeNetwork) -> None:
    """An error of the block's own clean-up comes out as it is, as Python has it."""
    with pytest.raises(KeyError):
        async with ClientSupervisor(max_restarts=0, opener=network) as pool:
            await pool.start_client(A, handler=explode)
            network.server(A).link.send("boom")
            try:
                await anyio.sleep_forever()
            finally:
                raise KeyError


async def test_too_many_crashes_end_the_pool(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """
    More than max_restarts crashes within max_seconds stop all clients; the error has the cause.
    """
    with pytest.raises(RestartLimitError, match="more than 2 crashes") as caught:
        async with ClientSupervisor(max_restarts=2, max_seconds=60.0, opener=network) as pool:
            await pool.start_client(A, name="a", handler=explode)
            await pool.start_client(B, name="b")
            while True:
                network.server(A).link.send("boom")
                await anyio.sleep(3)

    assert isinstance(caught.value.__cause__, LookupError)
    assert network.server(B).link.goodbye == (1000, "")
    names = events(log_entries)
    assert names.count("client.crashed") == 3
    assert names[-6:] == [
        "client.crashed",
        "supervisor.restart_limit_reached",
        "client.disconnected",
        "client.closed",
        "supervisor.child_stopped",
        "supervisor.stopped",
    ]


async def test_an_http_client_with_a_bug_is_a_crash(network: FakeNetwork) -> None:
    """
    What a user's http_client raises while it connects is counted, and comes out as the cause.
    """
    network.server(A).refuse(*[LookupError("no token")] * 3)
    with pytest.raises(RestartLimitError) as caught:
        async with ClientSupervisor([ChildSpec(A)], max_restarts=2, opener=network):
            await anyio.sleep(60)

    assert isinstance(caught.value.__cause__, LookupError)
    assert len(network.server(A).attempts) == 3


async def test_no_error_of_a_child_is_swallowed(network: FakeNetwork) -> None:
    """Whatever ends a client but failed connections counts against the limit."""

    async def run(**_: Any) -> None:
        raise ArithmeticError

    with pytest.raises(RestartLimitError) as caught:
        async with ClientSupervisor(max_restarts=0, opener=network) as pool:
            client = await pool.start_client(A, restart="permanent")
            client.run = run  # type: ignore[method-assign]
            await client.close()
            await anyio.sleep(60)

    assert isinstance(caught.value.__cause__, ArithmeticError)


async def test_crashes_far_apart_are_tolerated(network: FakeNetwork) -> None:
    """Crashes that do not fall into one window never end the pool."""
    async with ClientSupervisor(max_restarts=1, max_seconds=10.0, opener=network) as pool:
        await pool.start_client(A, handler=explode)
        for _ in range(5):
            network.server(A).link.send("boom")
            await anyio.sleep(40)
        assert pool.list_clients()[0].get_state() is ClientState.CONNECTED


async def test_a_lost_connection_is_not_a_crash(network: FakeNetwork) -> None:
    """
    However often connections drop, and retries are exhausted, the crash budget is untouched.
    """
    async with ClientSupervisor(max_restarts=0, opener=network) as pool:
        client = await pool.start_client(A, retry_count=0)
        for _ in range(20):
            network.server(A).link.drop()
            await anyio.sleep(100)
            assert client.get_state() is ClientState.CONNECTED
        assert pool.pool_health()[0].restarts == 20


@pytest.mark.parametrize(
    ("restart", "what", "back"),
    [
        ("permanent", "crash", True),
        ("permanent", "failure", True),
        ("permanent", "refusal", True),
        ("permanent", "close", True),
        ("transient", "crash", True),
        ("transient", "failure", True),
        ("transient", "refusal", False),
        ("transient", "close", False),
        ("temporary", "crash", False),
        ("temporary", "failure", False),
        ("temporary", "refusal", False),
        ("temporary", "close", False),
    ],
)
async def test_restart_kinds(network: FakeNetwork, restart: Any, what: str, back: bool) -> None:
    """
    Permanent clients always come back, transient ones unless closed or refused for good,
    temporary ones never.
    """
    server = network.server(A)
    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(A, restart=restart, handler=explode, retry_count=0)
        if what == "crash":
            server.link.send("boom")
        elif what == "failure":
            server.link.drop()
        elif what == "refusal":
            server.refuse(HandshakeRejectedError(A, "banned", 403))
            with pytest.raises(HandshakeRejectedError):
                await client.reconnect()
        else:
            await client.close()
        await anyio.sleep(40)
        assert (client in pool.list_clients()) is back
        assert (client.get_state() is ClientState.CONNECTED) is back


async def until_restarting(entries: list[MutableMapping[str, Any]]) -> None:
    """Return when a child waits for its restart; no time passes."""
    while entries[-1]["event"] != "supervisor.child_restarting":
        await checkpoint()


@pytest.mark.parametrize("end", ["crash", "failure"])
@pytest.mark.parametrize(("restart", "back"), [("permanent", True), ("transient", False)])
async def test_a_client_that_is_closed_while_it_waits_for_its_restart(
    network: FakeNetwork,
    restart: Any,
    back: bool,
    end: str,
    log_entries: list[MutableMapping[str, Any]],
) -> None:
    """Closing a client also counts between its end and its restart: it is gone at once."""
    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(
            A, name="a", restart=restart, handler=explode, retry_count=0
        )
        if end == "crash":
            network.server(A).link.send("boom")
        else:
            network.server(A).link.drop()
        await until_restarting(log_entries)
        before = anyio.current_time()
        await client.close()
        while client in pool.list_clients() and not back:
            await checkpoint()
        assert anyio.current_time() == before
        await anyio.sleep(40)
        assert (client in pool.list_clients()) is back
        assert (client.get_state() is ClientState.CONNECTED) is back
        if not back:
            assert log_entries[-1]["event"] == "supervisor.child_stopped"
            assert log_entries[-1]["reason"] == "closed"


async def test_a_client_that_is_stopped_while_it_waits_for_its_restart(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """Even a permanent client that is stopped between two lives tries nothing more."""
    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(A, name="a", restart="permanent", retry_count=0)
        network.server(A).link.drop()
        await until_restarting(log_entries)
        await pool.stop_client(client)

    assert events(log_entries)[-3:] == [
        "supervisor.child_restarting",
        "supervisor.child_stopped",
        "supervisor.stopped",
    ]
    assert log_entries[-2]["reason"] == "stopped"


async def test_iteration_survives_a_restart(network: FakeNetwork) -> None:
    """A loop over a supervised client goes on when the supervisor starts it again."""
    got = []
    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(A, retry_count=0)

        async def lose() -> None:
            network.server(A).link.send(1)
            await anyio.sleep(1)
            network.server(A).link.drop()
            await anyio.sleep(5)
            network.server(A).link.send(2)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lose)
            async for event in client:
                got.append(event)
                if event == Message(2):
                    break

    assert [type(event) for event in got] == [Message, Gap, Message]
