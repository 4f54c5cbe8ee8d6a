from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.fakes import FakeNetwork, server_frame
from wsfleet import (
    Binary,
    ClientState,
    Message,
    ProtocolError,
    UnmatchedResponse,
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


async def test_a_sync_handler_is_called_as_messages_arrive(network: FakeNetwork) -> None:
    """A sync handler gets each event at once, without a task switch."""
    got: list[Any] = []
    async with connect(URL, opener=network, handler=got.append):
        link = network.server().link
        link.send({"a": 1})
        link.send("no json")
        link.send(b"\x00")
        link.send({"id": 1, "result": 2})
        assert got == [
            Message({"a": 1}),
            Message("no json"),
            Binary(b"\x00"),
            UnmatchedResponse({"id": 1, "result": 2}),
        ]


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ('{"id": 1, "method": "ping"}', Message({"id": 1, "method": "ping"})),
        ('{"id": [1], "result": 1}', UnmatchedResponse({"id": [1], "result": 1})),
        ('{"id": null, "error": 1}', Message({"id": None, "error": 1})),
        ('{"id": 1, "price": 5}', Message({"id": 1, "price": 5})),
        ('{"method": "heartbeat"}', Message({"method": "heartbeat"})),
        ("[1, 2]", Message([1, 2])),
        ("5", Message(5)),
        ("", Message("")),
        ("[" * 3000, Message("[" * 3000)),
    ],
)
async def test_every_text_is_delivered(network: FakeNetwork, text: str, event: Any) -> None:
    """No text is swallowed, and none ends the connection, whatever it looks like."""
    got: list[Any] = []
    async with connect(URL, opener=network, handler=got.append) as client:
        network.server().link.send(text)
        assert client.get_state() is ClientState.CONNECTED

    assert got == [event]


async def test_deeply_nested_json_is_text(network: FakeNetwork) -> None:
    """JSON too deep to decode is delivered as text; the connection lives."""
    got: list[Any] = []
    text = "[" * 30_000 + "]" * 30_000
    async with connect(URL, opener=network, handler=got.append):
        network.server().link.send(text)

    assert got == [Message(text)]


async def test_text_can_be_left_alone_or_decoded_by_the_user(network: FakeNetwork) -> None:
    """decode="raw" delivers text, a function what it returns."""
    ways: list[tuple[Any, Any]] = [("raw", "[1]"), (len, 3)]
    for decode, expected in ways:
        got: list[Any] = []
        async with connect(URL, opener=network, handler=got.append, decode=decode):
            network.server().link.send("[1]")
        assert got == [Message(expected)]


async def test_a_decoder_that_raises_is_a_crash(network: FakeNetwork) -> None:
    """What a user's decode raises reaches the owner, as a handler's error does."""
    with pytest.raises(ValueError, match="invalid literal"):
        async with connect(URL, opener=network, decode=int):
            network.server().link.send("x")
            await anyio.sleep_forever()

    assert network.server().link.goodbye == (1011, "the client's handler failed")


async def test_an_async_handler_gets_one_event_after_the_other(network: FakeNetwork) -> None:
    """
    A slow async handler gets events in order, never two at once, and the last before the end.
    """
    log: list[Any] = []

    async def handler(event: Any) -> None:
        log.append(("begin", event.data))
        await anyio.sleep(1)
        log.append(("end", event.data))

    async with connect(URL, opener=network, handler=handler, reconnect_on_error=False):
        for n in range(3):
            network.server().link.send(n)
        network.server().link.close()
        await anyio.sleep(5)

    assert log == [(what, n) for n in range(3) for what in ("begin", "end")]


async def test_a_handler_answers_without_a_task_switch(network: FakeNetwork) -> None:
    """A sync handler sends its answer at once with send_nowait."""
    answering: list[Any] = []

    def handler(event: Any) -> None:
        answering[0].send_nowait({"re": event.data})

    async with connect(URL, opener=network, handler=handler) as client:
        answering.append(client)
        network.server().link.send(1)
        assert network.server().link.texts == ['{"re":1}']


async def test_responses_do_not_wait_for_a_slow_handler(network: FakeNetwork) -> None:
    """An async handler may await a response, with hundreds of events behind it."""
    answers: list[Any] = []

    async def handler(event: Any) -> None:
        answers.append(await client.request(f"m{event.data}"))

    async with connect(URL, opener=network, handler=handler) as client:
        for n in range(300):
            network.server().link.send(n)
        await anyio.sleep(1)

    assert answers == [f"m{n}" for n in range(300)]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_handlers_error_ends_the_connection_and_reaches_the_owner(
    network: FakeNetwork, kind: str, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A handler that raises ends the connection with 1011, and the block raises its error."""

    def sync_handler(event: Any) -> None:
        raise LookupError(event.data)

    async def async_handler(event: Any) -> None:
        raise LookupError(event.data)

    handler = sync_handler if kind == "sync" else async_handler
    with pytest.raises(LookupError, match="boom"):
        async with connect(URL, opener=network, handler=handler):
            network.server().link.send("boom")
            network.server().link.send("never handled")
            await anyio.sleep_forever()

    assert network.server().link.goodbye == (1011, "the client's handler failed")
    assert len(network.server().links) == 1
    assert [e["event"] for e in log_entries][-2:] == ["client.disconnected", "client.crashed"]
    assert isinstance(log_entries[-1]["exc_info"], LookupError)


async def test_a_coroutine_from_a_plain_function_is_an_error(network: FakeNetwork) -> None:
    """A plain function that returns a coroutine would lose it: the error says what to do."""

    async def forgotten() -> None:
        """Never awaited."""

    with pytest.raises(TypeError, match="use `async def`"):
        async with connect(URL, opener=network, handler=lambda _: forgotten()):
            network.server().link.send(1)
            await anyio.sleep_forever()


async def test_closing_from_inside_a_handler(network: FakeNetwork) -> None:
    """A handler may close its client, and nothing waits for itself."""

    async def handler(_: Any) -> None:
        await client.close()

    with anyio.fail_after(1):
        async with connect(URL, opener=network, handler=handler) as client:
            network.server().link.send(1)
            await anyio.sleep(0.1)
            assert client.get_state() is ClientState.DISCONNECTED


async def test_iteration_lives_across_reconnects_and_ends_after_close(
    network: FakeNetwork,
) -> None:
    """One loop sees the events of all connections, and ends when the client is closed."""
    got = []
    async with connect(URL, opener=network) as client:
        network.server().link.send(1)
        async for event in client:
            got.append(event.data)
            if event.data == 1:
                network.server().link.drop()
                await anyio.sleep(2)
                network.server().link.send(2)
            else:
                await client.close()

    assert got == [1, 2]


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
    assert len(got) == 2
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
