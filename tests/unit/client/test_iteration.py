from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.fakes import FakeNetwork, server_frame
from wsfleet import (
    ClientState,
    Gap,
    Message,
    ProtocolError,
    connect,
)
from wsfleet.errors import InboxOverflowError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

URL = "ws://fake/"


@pytest.fixture
def network() -> FakeNetwork:
    """Return a network with one server that answers each request with its method."""
    network = FakeNetwork()
    network.server().answer = lambda request: request.get("method")
    return network


async def test_iteration_lives_across_reconnects_and_ends_after_close(
    network: FakeNetwork,
) -> None:
    """One loop sees the events of all connections, and ends when the client is closed."""
    got = []
    async with connect(URL, opener=network) as client:
        network.server().link.send(1)
        async for event in client:
            got.append(event)
            if event == Message(1):
                network.server().link.drop()
                await anyio.sleep(2)
                network.server().link.send(2)
            elif event == Message(2):
                await client.close()

    assert [type(event) for event in got] == [Message, Gap, Message]


async def test_what_came_before_the_loop_is_not_lost(network: FakeNetwork) -> None:
    """A server's greeting, sent before the first iteration, is the first event."""
    async with connect(URL, opener=network) as client:
        network.server().link.send("hello")
        await anyio.sleep(1)
        async for event in client:
            assert event == Message("hello")
            break


async def test_a_client_with_a_handler_is_not_iterated(network: FakeNetwork) -> None:
    """Events go to the handler; a loop beside it would wait for ever, so it is refused."""
    async with connect(URL, opener=network, handler=print) as client:
        with pytest.raises(RuntimeError, match="has a handler"):
            aiter(client)


async def test_a_client_that_nobody_listens_to_never_stalls(network: FakeNetwork) -> None:
    """Without a listener the newest events are kept, older ones dropped and counted."""
    async with connect(URL, opener=network, inbox_size=10) as client:
        link = network.server().link
        for n in range(1000):
            link.send(n)
        assert not link.reading_paused
        assert await client.request("m") == "m"
        metrics = client.get_state_metrics()
        assert metrics is not None
        assert (metrics.inbox, metrics.dropped) == (10, 990)
        assert metrics.memory > 0
        await client.close()
        assert [event.data async for event in client] == list(range(990, 1000))


async def test_a_full_inbox_pauses_reading(network: FakeNetwork) -> None:
    """With "block" a slow loop loses nothing: reading stops while the inbox is full."""
    async with connect(URL, opener=network, inbox_size=4) as client:
        link = network.server().link
        loop = aiter(client)
        for n in range(20):
            link.send(n)
        assert link.reading_paused
        metrics = client.get_state_metrics()
        assert metrics is not None
        assert metrics.reading_paused
        assert metrics.inbox == 5
        got = [(await anext(loop)).data for _ in range(20)]
        assert not link.reading_paused
        assert metrics.dropped == 0

    assert got == list(range(20))


@pytest.mark.parametrize(
    ("overflow", "kept"), [("drop_oldest", [6, 7, 8, 9]), ("drop_newest", [0, 1, 2, 3])]
)
async def test_a_full_inbox_drops_as_told(
    network: FakeNetwork, overflow: Any, kept: list[int]
) -> None:
    """The dropping policies keep the newest or the oldest, count the rest, and never pause."""
    async with connect(URL, opener=network, inbox_size=4, overflow=overflow) as client:
        loop = aiter(client)
        for n in range(10):
            network.server().link.send(n)
        metrics = client.get_state_metrics()
        assert metrics is not None
        assert metrics.dropped == 6
        assert not network.server().link.reading_paused
        assert [(await anext(loop)).data for _ in range(4)] == kept


async def test_a_full_inbox_fails_when_told(network: FakeNetwork) -> None:
    """With "fail" the client ends, and says what to do."""
    with pytest.raises(InboxOverflowError, match="inbox_size"):
        async with connect(URL, opener=network, inbox_size=2, overflow="fail") as client:
            loop = aiter(client)
            for n in range(10):
                network.server().link.send(n)
            await anyio.sleep(1)
            del loop


async def test_leaving_the_loop_lets_the_connection_go_on(network: FakeNetwork) -> None:
    """After a break out of a loop nobody listens: reading goes on, requests are answered."""
    async with connect(URL, opener=network, inbox_size=2) as client:
        for n in range(10):
            network.server().link.send(n)
        async for _ in client:
            for n in range(10):
                network.server().link.send(n)
            assert network.server().link.reading_paused
            break
        assert not network.server().link.reading_paused
        assert await client.request("m") == "m"


async def test_two_loops_share_the_events(network: FakeNetwork) -> None:
    """Each event goes to one of the loops over a client."""
    got: list[Any] = []

    async def take() -> None:
        got.extend([event.data async for event in client])

    async with connect(URL, opener=network) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        tasks.start_soon(take)
        await anyio.sleep(1)
        for n in range(50):
            network.server().link.send(n)
            await anyio.lowlevel.checkpoint()
        await client.close()

    assert sorted(got) == list(range(50))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x83\x00", 1002),
        (server_frame(1, b"\xff"), 1007),
        (server_frame(2, b"x" * 101), 1009),
    ],
)
async def test_a_broken_protocol_is_told_and_replaced(
    network: FakeNetwork, data: bytes, code: int
) -> None:
    """
    A peer that breaks the protocol is told with which code; the handler learns why; then a new
    connection.
    """
    got: list[Any] = []
    async with connect(URL, opener=network, handler=got.append, max_message_size=100) as client:
        network.server().link.send("fine")
        network.server().link.send_bytes(data + server_frame(1, b"late"))
        await anyio.sleep(2)
        assert client.get_state() is ClientState.CONNECTED

    assert got[0] == Message("fine")
    assert isinstance(got[1], ProtocolError)
    assert [type(event) for event in got[2:]] == [Gap]
    goodbye = network.server().links[0].goodbye
    assert goodbye is not None
    assert goodbye == (code, got[1].reason)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_callbacks_hear_of_each_connection(network: FakeNetwork, kind: str) -> None:
    """on_connect and on_disconnect are called for each connection gained and lost, in order."""
    log: list[Any] = []

    def sync_callback(what: str) -> Any:
        return lambda client: log.append((what, client.life.generation))

    def async_callback(what: str) -> Any:
        async def callback(client: Any) -> None:
            generation = client.life.generation
            await anyio.sleep(0.01)
            log.append((what, generation))

        return callback

    make = sync_callback if kind == "sync" else async_callback
    async with connect(URL, opener=network, on_connect=make("up"), on_disconnect=make("down")):
        await anyio.sleep(1)
        network.server().link.drop()
        await anyio.sleep(2)

    assert log == [("up", 1), ("down", 1), ("up", 2), ("down", 2)]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_callback_that_raises_harms_nothing(
    network: FakeNetwork, kind: str, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A callback's error is logged with its name, and the client goes on."""

    def sync_broken(_: Any) -> None:
        raise LookupError

    async def async_broken(_: Any) -> None:
        raise LookupError

    broken: Any = sync_broken if kind == "sync" else async_broken
    async with connect(URL, opener=network, on_connect=broken, on_disconnect=broken) as client:
        assert await client.request("m") == "m"

    failures = [e for e in log_entries if e["event"] == "client.callback_failed"]
    assert len(failures) == 2
    assert "broken" in failures[0]["callback"]


async def test_an_async_callback_may_use_the_client(network: FakeNetwork) -> None:
    """on_connect may log in over the new connection, while the connection is served."""
    answers: list[Any] = []

    async def log_in(client: Any) -> None:
        answers.append(await client.request("login"))

    async with connect(URL, opener=network, on_connect=log_in):
        await anyio.sleep(1)

    assert answers == ["login"]
