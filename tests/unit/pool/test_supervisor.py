from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.fakes import FakeNetwork
from wsfleet import ChildSpec, ClientState, ClientSupervisor, Message
from wsfleet.errors import (
    ConfigError,
    ConnectRefusedError,
    DisconnectedError,
    HandshakeRejectedError,
    NoConnectionsError,
    RestartLimitError,
)

if TYPE_CHECKING:
    from collections.abc import MutableMapping

A, B, C = "ws://a/", "ws://b/", "ws://c/"


@pytest.fixture
def network() -> FakeNetwork:
    """Return three servers that answer each request with their name."""
    network = FakeNetwork()
    for url in (A, B, C):
        network.server(url).answer = lambda _, url=url: url
    return network


def events(entries: list[MutableMapping[str, Any]], *, of: str | None = None) -> list[str]:
    """Return the names of what was logged, of one client or of all."""
    return [e["event"] for e in entries if of is None or e.get("client") == of]


def explode(event: Any) -> None:
    """Be a handler with a bug."""
    raise LookupError(event.data)


# starting


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


async def test_names_are_unique(network: FakeNetwork) -> None:
    """Two clients of one pool cannot have the same name; a free name can be had again."""
    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(A, name="a")
        with pytest.raises(ConfigError, match="'a' is taken"):
            await pool.start_client(B, name="a")
        await pool.stop_client(client)
        await pool.start_client(B, name="a")


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


# restarting


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


async def test_iteration_survives_a_restart(network: FakeNetwork) -> None:
    """A loop over a supervised client goes on when the supervisor starts it again."""
    got = []
    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(A, retry_count=0)
        network.server(A).link.send(1)
        async for event in client:
            got.append(event.data)
            if event.data == 2:
                break
            network.server(A).link.drop()
            await anyio.sleep(5)
            network.server(A).link.send(2)

    assert got == [1, 2]


# stopping


async def test_a_stopped_client_is_gone(network: FakeNetwork) -> None:
    """stop_client says goodbye, leaves no child, ends its iteration, and can be said twice."""
    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(A)
        await pool.stop_client(client)
        await pool.stop_client(client)
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


async def test_a_handler_may_stop_its_own_client(network: FakeNetwork) -> None:
    """Nothing waits for itself when a handler stops the client that called it."""

    async def handler(_: Any) -> None:
        await pool.stop_client(pool.list_clients()[0])

    async with ClientSupervisor(opener=network) as pool:
        await pool.start_client(A, handler=handler)
        network.server(A).link.send("go")
        await anyio.sleep(1)
        assert pool.list_clients() == []


@pytest.mark.parametrize("how", ["normal", "error", "cancelled"])
async def test_the_pool_stops_in_reverse_order(
    network: FakeNetwork, how: str, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """
    However the block ends, clients are told goodbye and stopped in the reverse order of their
    start.
    """
    with anyio.CancelScope() as scope:
        try:
            async with ClientSupervisor(opener=network) as pool:
                for name, url in (("a", A), ("b", B), ("c", C)):
                    await pool.start_client(url, name=name)
                if how == "error":
                    raise KeyError(how)
                if how == "cancelled":
                    scope.cancel()
                    await anyio.sleep_forever()
        except KeyError:
            assert how == "error"

    stopped = [e["client"] for e in log_entries if e["event"] == "supervisor.child_stopped"]
    lost = [e["client"] for e in log_entries if e["event"] == "client.disconnected"]
    assert stopped == ["c", "b", "a"]
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


# routing


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
                for n in range(1, 31):
                    network.server(url).link.send({"id": f"balanced-{n}", "result": 0})
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


# watching


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

    assert got == [
        ("a", Message(0)),
        ("a", Message(1)),
        ("b", Message(2)),
        ("a", Message(4)),
    ]


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
