from __future__ import annotations

import math
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.fakes import FakeNetwork
from wsfleet import UnmatchedResponse, connect
from wsfleet._client.messages import outgoing
from wsfleet._wire.frames import Opcode
from wsfleet.errors import (
    ConfigError,
    DisconnectedError,
    DuplicateRequestIdError,
    JsonRpcError,
    NotConnectedError,
    RequestTimeoutError,
)

URL = "ws://fake/"


@pytest.fixture
def network() -> FakeNetwork:
    """Return a network with one server that answers each request with its method."""
    network = FakeNetwork()
    network.server().answer = lambda request: request.get("method")
    return network


@pytest.mark.parametrize(
    ("message", "request_id"),
    [
        ('{"id": 7, "method": "m"}', 7),
        ('{"id": "seven"}', "seven"),
        ('{"method": "m", "params": {"id": 1}}', None),
        ('{"id": null, "method": "m"}', None),
        ('{"id": true, "method": "m"}', None),
        ('{"id": [1], "method": "m"}', None),
        ('{"id": 7, "result": 1}', None),
        ('{"id": 7, "error": {}}', None),
        ('{"id": 7, "result": 1, "method": "m"}', 7),
        ('[{"id": 7}]', None),
        ('"id"', None),
        ('not json, "id"', None),
        ("[" * 5000 + '"id"', None),
        ({"id": 7, "method": "m"}, 7),
        ({"id": 7, "result": None}, None),
        ({"id": True}, None),
        ({"method": "m"}, None),
        (MappingProxyType({"id": 1}), 1),
        (OrderedDict(id=2), 2),
        (b'{"id": 7}', None),
        (bytearray(b"x"), None),
        (memoryview(b"x"), None),
    ],
)
def test_what_awaits_a_response(message: Any, request_id: object) -> None:
    """JSON objects with an id await a response, unless they are responses; bytes never do."""
    assert outgoing(message).request_id == request_id


@pytest.mark.parametrize("message", [None, 1, ["a"], {"a": object()}, {1: {2: object()}}])
def test_what_cannot_be_sent_is_a_type_error(message: Any) -> None:
    """Something that is neither text, bytes nor JSON is refused before anything is sent."""
    with pytest.raises(TypeError):
        outgoing(message)


@given(
    message=st.dictionaries(
        st.text(max_size=8), st.one_of(st.integers(-9, 9), st.text(max_size=8)), max_size=4
    )
)
def test_a_mapping_and_its_text_are_the_same_message(message: dict[str, Any]) -> None:
    """Whether a user or wsfleet writes the JSON, the request is the same."""
    ready = outgoing(message)

    assert outgoing(ready.payload.decode()).request_id == ready.request_id


async def test_a_request_gets_its_own_response(network: FakeNetwork) -> None:
    """Responses in any order reach the requests that asked for them."""
    server = network.server()
    server.answer = None
    answers: dict[int, Any] = {}

    async def ask(request_id: int) -> None:
        answers[request_id] = await client.send_message({"id": request_id, "method": "m"})

    async with connect(URL, opener=network) as client, anyio.create_task_group() as tasks:
        for request_id in (1, 2, 3):
            tasks.start_soon(ask, request_id)
        await anyio.sleep(0.1)
        for request_id in (3, 1, 2):
            server.link.send({"id": request_id, "result": request_id * 10})

    assert answers == {n: {"id": n, "result": n * 10} for n in (1, 2, 3)}


async def test_request_makes_ids_and_unpacks(network: FakeNetwork) -> None:
    """request() sends JSON-RPC 2.0 with an id of its own and returns the result."""
    async with connect(URL, opener=network) as client:
        assert await client.request("public/test") == "public/test"
        assert await client.request("sum", [1, 2]) == "sum"

    assert network.server().link.texts == [
        '{"jsonrpc":"2.0","id":1,"method":"public/test"}',
        '{"jsonrpc":"2.0","id":2,"method":"sum","params":[1,2]}',
    ]


async def test_request_steps_over_ids_in_flight(network: FakeNetwork) -> None:
    """request() never takes an id that a user's own message has in flight."""
    network.server().answer = None
    async with connect(URL, opener=network) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.send_message, {"id": 1, "method": "mine"})
        await anyio.sleep(0.1)
        tasks.start_soon(client.request, "theirs")
        await anyio.sleep(0.1)
        for request_id in (1, 2):
            network.server().link.send({"id": request_id, "result": None})

    assert '"id":2' in network.server().link.texts[1]


async def test_a_servers_error_is_raised(network: FakeNetwork) -> None:
    """request() raises the server's error with its code, message and data."""
    server = network.server()
    server.answer = None
    async with connect(URL, opener=network) as client, anyio.create_task_group() as tasks:

        async def answer() -> None:
            await anyio.sleep(0.1)
            error = {"code": 10028, "message": "too_many_requests", "data": {"wait": 1}}
            server.link.send({"id": 1, "error": error})
            await anyio.sleep(0.1)
            server.link.send({"id": 2, "error": "odd"})

        tasks.start_soon(answer)
        with pytest.raises(JsonRpcError, match="too_many_requests") as caught:
            await client.request("m")
        assert (caught.value.code, caught.value.data) == (10028, {"wait": 1})
        with pytest.raises(JsonRpcError, match="odd"):
            await client.request("m")


async def test_an_id_in_flight_is_refused(network: FakeNetwork) -> None:
    """A second request with an id in flight is not sent; once answered, the id is free."""
    server = network.server()
    server.answer = None
    async with connect(URL, opener=network) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.send_message, {"id": "a"})
        await anyio.sleep(0.1)
        with pytest.raises(DuplicateRequestIdError) as caught:
            await client.send_message('{"id": "a"}')
        assert caught.value.sent is False
        assert len(server.link.texts) == 1
        server.link.send({"id": "a", "result": 1})
        await anyio.sleep(0.1)
        server.answer = lambda _: "again"
        assert (await client.send_message({"id": "a"}))["result"] == "again"


async def test_no_response_is_a_timeout(network: FakeNetwork) -> None:
    """A request without an answer ends after request_timeout: unknown whether it was done."""
    network.server().answer = None
    async with connect(URL, opener=network, request_timeout=3.0) as client:
        before = anyio.current_time()
        with pytest.raises(RequestTimeoutError, match="ask the server") as caught:
            await client.request("m")
        assert anyio.current_time() - before == pytest.approx(3.0)
        assert caught.value.sent is None
        assert client.pending == 0
        with pytest.raises(TimeoutError):
            await client.request("m", timeout=1.0)
        assert anyio.current_time() - before == pytest.approx(4.0)


async def test_a_late_response_is_unmatched(network: FakeNetwork) -> None:
    """A response that comes after its timeout is delivered as UnmatchedResponse."""
    network.server().answer = None
    got: list[Any] = []
    async with connect(URL, opener=network, handler=got.append) as client:
        with pytest.raises(RequestTimeoutError):
            await client.request("m", timeout=1.0)
        network.server().link.send({"id": 1, "result": "late"})

    assert got == [UnmatchedResponse({"id": 1, "result": "late"})]


async def test_a_cancelled_waiter_leaves_nothing(network: FakeNetwork) -> None:
    """A caller that gives up is forgotten; its id is free, its response unmatched."""
    server = network.server()
    server.answer = None
    async with connect(URL, opener=network) as client:
        with anyio.move_on_after(1):
            await client.send_message({"id": 5})
        assert client.pending == 0
        server.answer = lambda _: "ok"
        assert (await client.send_message({"id": 5}))["result"] == "ok"


async def test_an_id_is_free_as_soon_as_its_response_is_there(network: FakeNetwork) -> None:
    """
    A request that takes an id over before the one that had it woke up gets its own response.
    """
    server = network.server()
    server.answer = None
    message = {"id": 1, "method": "m"}
    async with connect(URL, opener=network) as client, anyio.create_task_group() as tasks:
        go = anyio.Event()
        answers: list[Any] = []

        async def first() -> None:
            answers.append(await client.send_message(message))

        async def second() -> None:
            await go.wait()
            answers.append(await client.send_message(message))

        tasks.start_soon(second)
        tasks.start_soon(first)
        await anyio.sleep(1)
        go.set()
        server.link.send({"id": 1, "result": "first"})
        await anyio.sleep(1)
        server.link.send({"id": 1, "result": "second"})
        await anyio.sleep(1)
        assert [a["result"] for a in answers] == ["first", "second"]


async def test_a_disconnect_fails_everybody_at_once(network: FakeNetwork) -> None:
    """When the connection drops, every waiting caller is told at that moment, sent=None."""
    server = network.server()
    server.answer = None
    errors: list[tuple[float, DisconnectedError]] = []

    async def ask() -> None:
        with pytest.raises(DisconnectedError) as caught:
            await client.request("m")
        errors.append((anyio.current_time(), caught.value))

    async with connect(URL, opener=network) as client, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)
        await anyio.sleep(1)
        dropped_at = anyio.current_time()
        server.link.drop()
        await anyio.sleep(0.5)

    assert [at for at, _ in errors] == [dropped_at] * 3
    assert len({id(error) for _, error in errors}) == 3
    assert {error.sent for _, error in errors} == {None}
    assert len(server.links[0].texts) == 3


async def test_a_goodbye_fails_waiting_callers_before_the_socket_ends(
    network: FakeNetwork,
) -> None:
    """A peer's goodbye is enough: nobody waits for its socket to close."""
    server = network.server()
    server.answer = None
    async with connect(URL, opener=network) as client, anyio.create_task_group() as tasks:

        async def goodbye() -> None:
            await anyio.sleep(1)
            server.silent = True
            server.link.close(1001, "maintenance")

        tasks.start_soon(goodbye)
        with pytest.raises(DisconnectedError, match="1001 \\(maintenance\\)") as caught:
            await client.request("m")
        assert anyio.current_time() < 1.5
        assert (caught.value.code, caught.value.reason) == (1001, "maintenance")
        server.silent = False


async def test_nothing_is_sent_without_a_connection(network: FakeNetwork) -> None:
    """
    Between two connections a message is refused at once, not queued, and said to be unsent.
    """
    server = network.server()
    async with connect(URL, opener=network) as client:
        server.link.drop()
        for attempt in (client.send_message("a"), client.request("m")):
            with pytest.raises(NotConnectedError, match="disconnected") as caught:
                await attempt
            assert caught.value.sent is False
        with pytest.raises(NotConnectedError):
            client.send_nowait("a")
        assert client.pending == 0


async def test_a_full_buffer_makes_senders_wait(network: FakeNetwork) -> None:
    """While the peer does not read, senders wait; send_nowait refuses; then all goes out."""
    server = network.server()
    async with connect(URL, opener=network) as client, anyio.create_task_group() as tasks:
        server.link.fill()
        tasks.start_soon(client.send_message, "waits")
        await anyio.sleep(1)
        assert server.link.texts == []
        with pytest.raises(anyio.WouldBlock):
            client.send_nowait("now")
        server.link.drain()
        await anyio.sleep(1)
        assert server.link.texts == ["waits"]


async def test_a_cancelled_send_sends_nothing(network: FakeNetwork) -> None:
    """
    A send that was cancelled while it waited for room left no byte; the next one is whole.
    """
    server = network.server()
    async with connect(URL, opener=network) as client:
        server.link.fill()
        with anyio.move_on_after(1):
            await client.send_message("x" * 100_000)
        server.link.drain()
        await client.send_message("clean")
        assert server.link.texts == ["clean"]


async def test_a_request_that_finds_no_room_was_not_sent(network: FakeNetwork) -> None:
    """A request that timed out while it waited for room says sent=False."""
    server = network.server()
    async with connect(URL, opener=network, request_timeout=2.0) as client:
        server.link.fill()
        with pytest.raises(RequestTimeoutError, match="not sent") as caught:
            await client.request("m")
        assert caught.value.sent is False
        assert server.link.received == []


async def test_a_connection_that_ends_while_full_fails_its_senders(
    network: FakeNetwork,
) -> None:
    """Senders that wait for room learn at once that the connection is gone: not sent."""
    server = network.server()
    async with connect(URL, opener=network) as client, anyio.create_task_group() as tasks:
        errors: list[NotConnectedError] = []

        async def send(message: Any) -> None:
            with pytest.raises(NotConnectedError) as caught:
                await client.send_message(message)
            errors.append(caught.value)

        server.link.fill()
        tasks.start_soon(send, "a")
        tasks.start_soon(send, {"id": 1})
        await anyio.sleep(1)
        dropped_at = anyio.current_time()
        server.link.drop()
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        assert anyio.current_time() == dropped_at
        await anyio.sleep(0.1)
    assert [error.sent for error in errors] == [False, False]


async def test_kinds_of_messages_go_out_as_they_are(network: FakeNetwork) -> None:
    """
    Text goes out as text, bytes as binary, a mapping as JSON text, in the order of the calls.
    """
    network.server().answer = None
    async with connect(URL, opener=network) as client:
        assert await client.send_message("text") is None
        assert await client.send_message(b"\x00") is None
        client.send_nowait({"a": [1, None]})
        client.send_nowait({"id": 1, "no": "wait"})

    assert network.server().link.received[:4] == [
        (Opcode.TEXT, b"text"),
        (Opcode.BINARY, b"\x00"),
        (Opcode.TEXT, b'{"a":[1,null]}'),
        (Opcode.TEXT, b'{"id":1,"no":"wait"}'),
    ]


async def test_a_busy_sender_lets_others_run(network: FakeNetwork) -> None:
    """A loop that only sends gives the rest of the program its turn now and then."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with connect(URL, opener=network) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await anyio.lowlevel.checkpoint()
        seen = turns
        for _ in range(1000):
            await client.send_message("x")
        assert turns - seen >= 10
        tasks.cancel_scope.cancel()


async def test_latency_is_measured(network: FakeNetwork) -> None:
    """Round trips are kept over a bounded window, with exact percentiles."""
    server = network.server()
    server.answer = None
    async with connect(URL, opener=network, latency_buffer_size=3) as client:
        assert client.get_latency_stats() is None
        for seconds in (9, 1, 2, 3):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.send_message, {"id": "a"})
                await anyio.sleep(seconds)
                server.link.send({"id": "a", "result": 0})
        stats = client.get_latency_stats()
        assert stats is not None
        assert (stats.p50, stats.p99, stats.last, stats.count) == pytest.approx((2, 3, 3, 3))


async def test_ids_meet_whatever_the_decoding(network: FakeNetwork) -> None:
    """Requests work with text left as it is and with a user's own decoder, as with JSON."""
    for decode in ("raw", lambda text: ("mine", text)):
        got: list[Any] = []
        async with connect(URL, opener=network, decode=decode, handler=got.append) as client:
            assert await client.request("m") == "m"
            network.server().link.send('{"id": 9, "result": 1}')
        assert len(got) == 1


@pytest.mark.parametrize("timeout", [math.nan, math.inf, -1.0, 10**400, "3", True])
async def test_a_timeout_that_can_never_work_is_refused(
    network: FakeNetwork, timeout: Any
) -> None:
    """A request whose timeout is no time is refused before anything is sent."""
    async with connect(URL, opener=network) as client:
        with pytest.raises(ConfigError, match="timeout"):
            await client.request("m", timeout=timeout)
        assert network.server().link.texts == []
        assert client.pending == 0
