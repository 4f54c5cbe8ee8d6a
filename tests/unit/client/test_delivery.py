from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.fakes import FakeNetwork
from wsfleet import (
    Binary,
    ClientState,
    Message,
    UnmatchedResponse,
    connect,
)

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


async def test_a_text_that_cannot_be_decoded_stays_text(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A function that fails to decode is logged once a connection; the client goes on."""
    got: list[Any] = []
    async with connect(URL, opener=network, decode=int, handler=got.append, retry_delay=0.0):
        for text in ("x", "1", "secret"):
            network.server().link.send(text)
        network.server().link.drop()
        await anyio.sleep(1)
        network.server().link.send("y")

    texts = [event for event in got if isinstance(event, Message)]
    assert texts == [Message("x"), Message(1), Message("secret"), Message("y")]
    failures = [e for e in log_entries if e["event"] == "venue.function_failed"]
    assert failures == [
        {
            "event": "venue.function_failed",
            "log_level": "warning",
            "client": failures[0]["client"],
            "url": URL,
            "generation": generation,
            "function": "int",
            "error_type": "ValueError",
        }
        for generation in (1, 2)
    ]


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
