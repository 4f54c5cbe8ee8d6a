"""No loop over a method of ours keeps other tasks from running, whatever the method does."""

from __future__ import annotations

import inspect
import traceback
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from wsfleet import ChildSpec, Client, ClientSupervisor, SlidingWindow, SplitLimiter, connect
from wsfleet.errors import (
    ConfigError,
    ConnectError,
    ConnectRefusedError,
    DuplicateRequestIdError,
    MaxAttemptsExceededError,
    NoConnectionsError,
    NotConnectedError,
    RateLimitedError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tests.unit.fakes import FakeNetwork

    Call = Callable[[], Awaitable[Any]]

URL = "ws://fake/"
TRIES = 50
BURST = 64


class Other:
    """Another task, which counts its turns."""

    turns = 0

    async def run(self) -> None:
        while True:
            self.turns += 1
            await checkpoint()


@asynccontextmanager
async def beside() -> AsyncGenerator[Other]:
    """Run another task beside a block."""
    other = Other()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other.run)
        await checkpoint()
        yield other
        tasks.cancel_scope.cancel()


async def assert_yields_each_time(call: Call, error: type[Exception] | None) -> None:
    """A loop that tries again at once lets others run, and can be cancelled."""
    async with beside() as other:
        before = other.turns
        for _ in range(TRIES):
            if error is None:
                await call()
            else:
                with pytest.raises(error):
                    await call()
        # On trio two turns of the loop may come between two turns of a task.
        assert other.turns - before >= TRIES // 3
    with anyio.CancelScope() as scope:
        scope.cancel()
        await call()
    assert scope.cancelled_caught


async def assert_yields_in_a_burst(call: Callable[[int], Awaitable[Any]]) -> None:
    """A loop that never waits lets others run at least once in 64 turns."""
    async with beside() as other:
        before = other.turns
        for number in range(TRIES * BURST):
            await call(number)
        assert other.turns - before >= TRIES // 3  # see above


def public_async_methods(kind: type) -> set[str]:
    """Return the names of the methods that are awaited."""
    return {
        name
        for name, method in inspect.getmembers(kind, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }


def failing_client_calls(client: Client) -> dict[str, tuple[Call, type[Exception] | None]]:
    """Return a failing path of each method, of a client that nobody runs."""
    return {
        "close": (client.close, None),
        "reconnect": (client.reconnect, NotConnectedError),
        "request": (lambda: client.request("m"), NotConnectedError),
        "run": (client.run, RuntimeError),
        "send_message": (lambda: client.send_message("m"), NotConnectedError),
        "subscribe": (lambda: client.subscribe("a"), NotConnectedError),
        "unsubscribe": (lambda: client.unsubscribe(1), TypeError),  # type: ignore[arg-type]
        "wait_connected": (client.wait_connected, NotConnectedError),
    }


@pytest.mark.parametrize("name", sorted(public_async_methods(Client)))
async def test_each_method_of_a_client_yields_before_it_raises(
    network: FakeNetwork, name: str
) -> None:
    """Whichever method a loop tries again and again, it never takes the event loop for good."""
    async with connect(URL, opener=network, name="running") as running:
        client = running if name == "run" else Client(URL, opener=network)
        await assert_yields_each_time(*failing_client_calls(client)[name])


def failing_pool_calls(
    pool: ClientSupervisor,
) -> dict[str, tuple[Call, type[Exception] | None]]:
    """Return a failing path of each method, of a pool without clients."""
    stranger = Client(URL)
    return {
        "request_balanced": (lambda: pool.request_balanced("m"), NoConnectionsError),
        "send_balanced": (lambda: pool.send_balanced("m"), NoConnectionsError),
        "start_client": (lambda: pool.start_client("http://x/"), ConfigError),
        "stop_client": (lambda: pool.stop_client(stranger), None),
        "wait_connected": (pool.wait_connected, NoConnectionsError),
    }


@pytest.mark.parametrize("name", sorted(public_async_methods(ClientSupervisor)))
async def test_each_method_of_a_pool_yields_before_it_raises(name: str) -> None:
    """The same for the methods of a supervisor."""
    async with ClientSupervisor() as pool:
        await assert_yields_each_time(*failing_pool_calls(pool)[name])


async def test_each_way_to_fail_a_block_yields() -> None:
    """The same for blocks that cannot begin, and for a client that is run again and again."""

    async def refuse(*_: object) -> Any:
        raise ConnectError("ws://fake/", "refused by a fake")

    async def begin(block: Any) -> None:
        async with block:
            pass

    pool = ClientSupervisor()
    await begin(pool)
    client = Client(URL, opener=refuse, retry_count=0)
    await assert_yields_each_time(client.run, ConnectError)
    await assert_yields_each_time(lambda: begin(connect("http://x/")), ConfigError)
    await assert_yields_each_time(lambda: begin(pool), RuntimeError)


async def test_each_way_to_fail_a_send_yields(network: FakeNetwork) -> None:
    """A message that cannot be sent, an id that is taken, a budget that is spent: all yield."""
    limiter = SlidingWindow(limit=1, seconds=1000.0)
    async with (
        connect(URL, opener=network, name="a") as client,
        connect(URL, opener=network, limiter=limiter) as limited,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(client.send_message, {"id": 1, "method": "m"})
        await limited.send_message("first")
        calls: list[tuple[Call, type[Exception]]] = [
            (lambda: client.send_message(1), TypeError),  # type: ignore[arg-type]
            (lambda: client.send_message({"id": 1, "x": object()}), TypeError),
            (lambda: client.request("m", object()), TypeError),
            (lambda: client.send_message({"id": 1, "method": "m"}), DuplicateRequestIdError),
            (lambda: limited.send_message("second"), RateLimitedError),
            (lambda: limited.request("second"), RateLimitedError),
            (lambda: client.subscribe(1), TypeError),  # type: ignore[arg-type]
            (lambda: limiter.acquire("m", 0.0), RateLimitedError),
            (lambda: SplitLimiter({"": limiter}, str, default="").acquire(1, 0.0), Exception),
        ]
        for call, error in calls:
            await assert_yields_each_time(call, error)
        tasks.cancel_scope.cancel()


async def test_each_way_to_fail_a_balanced_send_yields(network: FakeNetwork) -> None:
    """Attempts that all fail at once, and arguments that cannot be, yield too."""
    limiter = SlidingWindow(limit=1, seconds=1000.0)
    specs = [ChildSpec(URL, name=name, limiter=limiter) for name in "ab"]
    async with ClientSupervisor(specs, opener=network) as pool:
        await pool.send_balanced("first")
        calls: list[tuple[Call, type[Exception]]] = [
            (lambda: pool.send_balanced("m"), MaxAttemptsExceededError),
            (lambda: pool.send_balanced("m", max_attempts=0), ConfigError),
            (lambda: pool.send_balanced("m", client_discovery=lambda: 1), TypeError),  # type: ignore[arg-type, return-value]
            (lambda: pool.start_client(URL, name="a"), ConfigError),
        ]
        for call, error in calls:
            await assert_yields_each_time(call, error)


async def test_the_end_of_an_iteration_yields(network: FakeNetwork) -> None:
    """A loop that asks a client or a pool that has ended for more lets others run."""
    async with connect(URL, opener=network) as client:
        events = aiter(client)
        await client.close()
        await assert_yields_each_time(lambda: anext(events), StopAsyncIteration)
    async with ClientSupervisor() as pool:
        merged = aiter(pool)
    await assert_yields_each_time(lambda: anext(merged), StopAsyncIteration)


async def test_an_error_that_is_raised_again_does_not_grow(network: FakeNetwork) -> None:
    """A client that failed for good raises its error to any number of callers."""
    network.server().down = True
    client = Client(URL, opener=network, retry_count=0)
    with pytest.raises(ConnectRefusedError):
        await client.run()
    lengths = set()
    for _ in range(3):
        try:
            await client.wait_connected()
        except ConnectRefusedError as error:
            lengths.add(len(traceback.extract_tb(error.__traceback__)))
    assert len(lengths) == 1


@pytest.mark.parametrize("message", ["text", b"bytes", {"a": "mapping"}])
async def test_a_sender_yields_once_in_64_messages(network: FakeNetwork, message: Any) -> None:
    """A burst of messages that the network takes at once still lets others run."""
    async with connect(URL, opener=network) as client:
        await assert_yields_in_a_burst(lambda _: client.send_message(message))


@pytest.mark.parametrize("message", ["text", b"bytes"])
async def test_a_sender_that_mixes_its_ways_yields(network: FakeNetwork, message: Any) -> None:
    """What is sent with `send_nowait` counts for the next message that is awaited."""
    async with connect(URL, opener=network) as client:

        async def send(number: int) -> None:
            client.send_nowait(message)
            if number % BURST == BURST - 1:
                await client.send_message("text")

        await assert_yields_in_a_burst(send)


async def test_large_messages_yield_sooner(network: FakeNetwork) -> None:
    """Bytes count as well as messages: 450 kB are not sent in one turn."""
    async with connect(URL, opener=network) as client, beside() as other:
        before = other.turns
        for _ in range(TRIES):
            for _ in range(3):
                await client.send_message(b"x" * 50_000)
                await client.send_message(b"x" * 100_000)
        assert other.turns - before >= TRIES // 3  # see above


async def test_a_sender_over_many_clients_yields(network: FakeNetwork) -> None:
    """One message over each of many clients is a burst like any other."""
    specs = [ChildSpec(URL, name=str(number)) for number in range(200)]
    async with ClientSupervisor(specs, opener=network) as pool:
        clients = pool.list_clients()
        await assert_yields_in_a_burst(lambda _: pool.send_balanced("text"))
        await assert_yields_in_a_burst(
            lambda number: clients[number % 200].send_message("text")
        )


async def test_answers_that_come_at_once_yield(network: FakeNetwork) -> None:
    """Requests whose answers never have to be waited for let others run, too."""
    network.server().answer = lambda _: 1
    async with connect(URL, opener=network) as client:
        await assert_yields_in_a_burst(lambda _: client.request("m"))


async def test_what_never_waits_yields(network: FakeNetwork) -> None:
    """Waiting for what is there already lets others run."""
    limiter = SlidingWindow(limit=1_000_000, seconds=1.0)
    async with ClientSupervisor([ChildSpec(URL)], opener=network) as pool:
        client = pool.list_clients()[0]
        await pool.wait_connected()
        await assert_yields_in_a_burst(lambda _: client.wait_connected())
        await assert_yields_in_a_burst(lambda _: pool.wait_connected())
        await assert_yields_in_a_burst(lambda _: client.unsubscribe("unknown"))
        await assert_yields_in_a_burst(lambda _: client.subscribe(()))
        await assert_yields_in_a_burst(limiter.acquire)


async def test_candidates_of_the_users_that_never_wait_yield() -> None:
    """A loop of balanced sends over clients of one's own, which never wait, lets others run."""

    class Instant:
        name = "instant"

        def get_state(self) -> str:
            return "connected"

        def get_health(self) -> float:
            return 100.0

        async def send_message(self, message: Any, /) -> Any:
            return message

    async with ClientSupervisor() as pool:
        await assert_yields_in_a_burst(
            lambda _: pool.send_balanced("x", client_discovery=lambda: [Instant()])
        )


async def test_an_iteration_over_a_full_inbox_yields(network: FakeNetwork) -> None:
    """A loop that finds the next event there each time lets others run."""
    async with ClientSupervisor(
        [ChildSpec(URL, inbox_size=TRIES * BURST)], opener=network
    ) as pool:
        for events in (aiter(pool), aiter(pool.list_clients()[0])):
            for number in range(TRIES * BURST):
                network.server().link.send(number)
            await assert_yields_in_a_burst(lambda _: anext(events))  # noqa: B023
