from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.fakes import FakeNetwork, server_frame
from wsfleet import (
    ChildSpec,
    Client,
    ClientSupervisor,
    Config,
    PingPong,
    SlidingWindow,
    TokenBucket,
    connect,
)
from wsfleet._wire.frames import Opcode
from wsfleet.errors import (
    MaxAttemptsExceededError,
    NotConnectedError,
    RateLimitedError,
    RequestTimeoutError,
)
from wsfleet.testing.virtual_time import all_tasks_blocked

if TYPE_CHECKING:
    from collections.abc import MutableMapping

URL = "ws://fake/"


@pytest.fixture
def network() -> FakeNetwork:
    """Return a network with one server that answers each request with its method."""
    network = FakeNetwork()
    network.server().answer = lambda request: request.get("method")
    return network


async def test_what_is_over_the_limit_is_refused_and_not_sent(network: FakeNetwork) -> None:
    """By default no send waits: it is told at once that it was not sent, and when it can be."""
    limiter = SlidingWindow(limit=1, seconds=2.0)
    async with connect(URL, opener=network, name="c", limiter=limiter) as client:
        await client.send_message("one")
        for send in (
            client.send_message("two"),
            client.send_message({"id": 1, "method": "m"}),
            client.request("m"),
        ):
            with pytest.raises(
                RateLimitedError, match=r"rate limit of c .* not sent"
            ) as caught:
                await send
            assert caught.value.sent is False
            assert caught.value.retry_after == pytest.approx(2.0)
            assert caught.value.client == "c"
        with pytest.raises(RateLimitedError, match="rate limit of c"):
            client.send_nowait("two")
        assert client.pending == 0
        assert client.errors == 0

        await anyio.sleep(2)
        client.send_nowait("three")

    assert network.server().link.texts == ["one", "three"]


async def test_who_has_patience_waits_for_the_limiter(network: FakeNetwork) -> None:
    """With a timeout for the limiter, sends wait their turn; those beyond it are refused."""
    limiter = SlidingWindow(limit=1, seconds=1.0)
    answers: list[Any] = []
    refused: list[RateLimitedError] = []

    async def ask() -> None:
        try:
            answers.append((await client.request("m"), anyio.current_time() - start))
        except RateLimitedError as error:
            refused.append(error)

    async with connect(URL, opener=network, limiter=limiter, limiter_timeout=2.5) as client:
        start = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask)
        stats = client.get_latency_stats()

    assert answers == [("m", pytest.approx(number)) for number in range(3)]
    assert [error.retry_after for error in refused] == [pytest.approx(3.0)] * 2
    assert stats is not None
    assert stats.p99 < 0.1, "a round trip does not count the wait for a limiter"


@pytest.mark.parametrize("patience", [None, 60.0])
async def test_the_limiters_time_is_the_requests(
    network: FakeNetwork, patience: float | None
) -> None:
    """What a request waits for its limiter is taken from its timeout; sends wait as long."""
    network.server().answer = None
    limiter = TokenBucket(capacity=1, refill_rate=0.25)
    options: Any = {
        "limiter": limiter,
        "limiter_timeout": patience,
        "request_timeout": 5.0,
        "heartbeat": None,
    }
    async with connect(URL, opener=network, **options) as client:
        await client.send_message("one")
        start = anyio.current_time()
        with pytest.raises(RateLimitedError):
            await client.request("m", timeout=3.0)
        assert anyio.current_time() == start
        with pytest.raises(RequestTimeoutError) as caught:
            await client.request("m")
        assert anyio.current_time() - start == pytest.approx(5.0)
        assert caught.value.sent is None
        limiter.spend(1)
        with pytest.raises(RateLimitedError):
            await client.send_message("two")


async def test_a_request_that_has_no_time_left_is_not_sent(network: FakeNetwork) -> None:
    """When a limiter took all the time of a request, it is not sent: nobody could wait."""
    limiter = SlidingWindow(limit=1, seconds=1.0)
    options: Any = {"limiter": limiter, "limiter_timeout": None}
    async with connect(URL, opener=network, **options) as client:
        await client.send_message("one")
        with pytest.raises(RateLimitedError) as caught:
            await client.request("m", timeout=1.0)

    assert caught.value.sent is False
    assert network.server().link.texts == ["one"]


@pytest.mark.parametrize("message", ["two", {"id": 1, "method": "m"}])
async def test_a_message_goes_over_the_connection_of_its_turn(
    network: FakeNetwork, message: Any
) -> None:
    """A connection that was replaced while a message waited: it goes over the new one, once."""
    server = network.server()
    limiter = SlidingWindow(limit=1, seconds=10.0)

    options: Any = {"limiter": limiter, "limiter_timeout": None, "retry_delay": 0.0}
    async with connect(URL, opener=network, **options) as client:
        await client.send_message("one")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send_message, message)
            await all_tasks_blocked()
            server.link.drop()

    assert [len(link.texts) for link in server.links] == [1, 1]


@pytest.mark.parametrize("message", ["two", {"id": 1, "method": "m"}])
async def test_a_message_whose_connection_is_gone_at_its_turn_is_not_sent(
    network: FakeNetwork, message: Any
) -> None:
    """A connection lost while a message waited: the error says that it was not sent."""
    server = network.server()
    limiter = SlidingWindow(limit=1, seconds=10.0)
    errors: list[NotConnectedError] = []

    async def send() -> None:
        with pytest.raises(NotConnectedError) as caught:
            await client.send_message(message)
        errors.append(caught.value)

    options: Any = {"limiter": limiter, "limiter_timeout": None, "retry_count": None}
    async with connect(URL, opener=network, **options) as client:
        await client.send_message("one")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await all_tasks_blocked()
            server.die()

    assert [error.sent for error in errors] == [False]
    assert [text for link in server.links for text in link.texts] == ["one"]


async def test_a_cancelled_send_gives_its_place_back(network: FakeNetwork) -> None:
    """A send that was cancelled while it waited for its limiter was not sent, and cost none."""
    limiter = SlidingWindow(limit=1, seconds=1.0)
    async with connect(URL, opener=network, limiter=limiter, limiter_timeout=None) as client:
        await client.send_message("one")
        for message in ("two", {"id": 1, "method": "m"}):
            with anyio.move_on_after(0.25):
                await client.send_message(message)
        await client.send_message("three")
        assert limiter.status().waiting == 0

    assert network.server().link.texts == ["one", "three"]


async def test_nothing_is_taken_for_what_cannot_be_sent(network: FakeNetwork) -> None:
    """Without a connection, or without room, a limiter is not asked."""
    limiter = SlidingWindow(limit=1, seconds=1.0)
    async with connect(URL, opener=network, limiter=limiter) as client:
        network.server().link.fill()
        with pytest.raises(anyio.WouldBlock):
            client.send_nowait("full")
    for send in (client.send_message, client.request):
        with pytest.raises(NotConnectedError):
            await send("closed")

    assert limiter.status().available == 1


async def test_the_cost_is_that_of_the_message_as_it_was_given(network: FakeNetwork) -> None:
    """A cost function sees what the caller gave: a mapping, text, bytes, a request."""
    seen: list[Any] = []

    def cost(message: Any) -> float:
        seen.append(message)
        return 1.0

    async with connect(URL, opener=network, limiter=TokenBucket(9, 1.0, cost)) as client:
        await client.send_message({"a": 1})
        await client.send_message("text")
        client.send_nowait(b"bytes")
        await client.request("m", [1])

    request = {"jsonrpc": "2.0", "id": 1, "method": "m", "params": [1]}
    assert seen == [{"a": 1}, "text", b"bytes", request]


async def test_clients_can_share_a_limiter(network: FakeNetwork) -> None:
    """What one client sends is counted for the others."""
    limiter = SlidingWindow(limit=2, seconds=1.0)
    config = Config(url=URL, limiter=limiter)
    async with (
        connect(config, opener=network) as one,
        connect(config, opener=network) as two,
    ):
        await one.request("m")
        await two.request("m")
        for client in (one, two):
            with pytest.raises(RateLimitedError):
                await client.request("m")


@pytest.mark.parametrize(("counts", "left"), [(True, 6), (False, 10)])
async def test_pings_and_pongs_count_where_the_venue_says_so(
    network: FakeNetwork, counts: bool, left: int
) -> None:
    """A limiter that counts control frames counts the pings and pongs that a client sends."""
    limiter = SlidingWindow(limit=10, seconds=60.0, counts_control=counts)
    beat = PingPong(interval=1.0)
    async with connect(URL, opener=network, limiter=limiter, heartbeat=beat) as client:
        await anyio.sleep(2.5)
        link = network.server().link
        link.send_bytes(server_frame(Opcode.PING, b"seen"))
        link.fill()
        link.send_bytes(server_frame(Opcode.PING, b"on a full link"))
        link.drain()
        assert limiter.status().available == left
        assert client.get_state() == "connected"

    sent = [opcode for opcode, _ in link.received if opcode != Opcode.CLOSE]
    assert sent == [Opcode.PING, Opcode.PING, Opcode.PONG, Opcode.PONG]


# many clients


async def test_a_pool_passes_over_a_client_at_its_limit(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A client over its limit sent nothing, so another sends; when all are, that is told."""
    specs = [
        ChildSpec(f"ws://{name}/", name=name, limiter=SlidingWindow(limit, seconds=60.0))
        for name, limit in (("a", 1), ("b", 5))
    ]
    servers = [network.server(f"ws://{name}/") for name in ("a", "b")]
    for server in servers:
        server.answer = lambda request: request["method"]
    async with ClientSupervisor(specs, opener=network) as pool:
        for _ in range(6):
            assert await pool.send_balanced({"id": 1, "method": "m"}) == {
                "id": 1,
                "result": "m",
            }
        with pytest.raises(MaxAttemptsExceededError) as caught:
            await pool.send_balanced({"id": 1, "method": "m"})

    assert caught.value.sent is False
    assert {name for name, _ in caught.value.attempts} == {"a", "b"}
    assert all(isinstance(error, RateLimitedError) for _, error in caught.value.attempts)
    assert {e["client"] for e in log_entries if e["event"] == "pool.failover"} >= {"a"}
    assert [len(server.link.texts) for server in servers] == [1, 5]


async def test_a_fleet_comes_back_within_its_budget_of_attempts(network: FakeNetwork) -> None:
    """Fifty clients that lost their server all come back, and never knock too often."""
    server = network.server()
    budget = SlidingWindow(limit=10, seconds=5.0)
    options: Any = {"connect_limiter": budget, "retry_count": None, "timeout": 1.0}
    async with ClientSupervisor(opener=network) as pool:
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(lambda: pool.start_client(URL, **options))
        await anyio.sleep(20)
        server.die()
        await anyio.sleep(12)
        server.down = False
        await anyio.sleep(60)
        states = [client.get_state() for client in pool.list_clients()]

    assert states == ["connected"] * 50
    times = server.attempts
    assert len(times) > 100
    assert all(times[n + 10] >= times[n] + 5.0 for n in range(len(times) - 10))
    assert budget.status().waiting == 0


async def test_the_wait_for_a_turn_is_not_the_attempts(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """An attempt's time, and its timeout, begin when its turn has come."""
    budget = SlidingWindow(limit=1, seconds=30.0)
    budget.spend()
    async with connect(URL, opener=network, connect_limiter=budget, timeout=1.0):
        pass

    (connected,) = [e for e in log_entries if e["event"] == "client.connected"]
    assert connected["seconds"] < 1.0
    assert len(network.server().attempts) == 1


async def test_a_client_can_be_closed_while_it_waits_for_its_turn(
    network: FakeNetwork,
) -> None:
    """Closing or cancelling a client that waits to connect ends it at once, and costs none."""
    budget = SlidingWindow(limit=1, seconds=30.0)
    budget.spend()
    client = Client(URL, opener=network, connect_limiter=budget)
    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.run)
        await all_tasks_blocked()
        assert client.get_state() == "connecting"
        assert budget.status().waiting == 1
        await client.close()
    with anyio.move_on_after(1.0):
        await client.run()

    assert anyio.current_time() - start == pytest.approx(1.0)
    assert budget.status().waiting == 0
    assert network.server().attempts == []


async def test_a_broken_cost_function_ends_the_client(network: FakeNetwork) -> None:
    """What the cost function of a budget for connecting raises is raised by the client."""

    def broken(url: Any) -> float:
        raise LookupError(url)

    budget = SlidingWindow(limit=1, seconds=1.0, cost=broken)
    with pytest.raises(LookupError):
        await Client(URL, opener=network, connect_limiter=budget).run()

    assert network.server().attempts == []
