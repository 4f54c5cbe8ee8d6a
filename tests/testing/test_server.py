from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import anyio
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.typing import Subprotocol

from wsfleet.testing import MockServer, json_rpc

if TYPE_CHECKING:
    from typing import Any

on_asyncio = pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"use_uvloop": False})], ids=["asyncio"]
)


async def test_a_server_can_be_opened_and_left_on_every_event_loop() -> None:
    """A test on asyncio, uvloop or trio gets a listening server and leaves nothing behind."""
    async with MockServer() as server:
        port = int(server.url.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert (await stream.receive()).startswith(b"HTTP/1.1 ")


async def test_leaving_the_block_cancelled_still_ends_the_server() -> None:
    """A test that runs into its deadline leaves no thread and no socket behind."""
    with anyio.move_on_after(0.05) as scope:
        async with MockServer() as server:
            await server.assert_message_sent("never", timeout=30)
    assert scope.cancelled_caught


async def test_two_stops_and_two_starts_do_no_harm() -> None:
    """Stopping what is stopped, or starting what runs, changes nothing."""
    async with MockServer() as server:
        url = server.url
        await server.start()
        await server.stop()
        await server.stop()
        await server.start()
        assert server.url == url


async def test_an_expectation_that_fails_shows_what_came() -> None:
    """A failed expectation is an AssertionError that names it."""
    async with MockServer() as server:
        with pytest.raises(AssertionError, match=r"no client sent 'ping' .*\n  nothing"):
            await server.assert_message_sent("ping", timeout=0)


async def test_commands_without_a_client_time_out() -> None:
    """Sending to nobody is an error, not silence."""
    async with MockServer() as server:
        with pytest.raises(TimeoutError, match="nobody connected"):
            await server.inject_message("hello")
        with pytest.raises(TimeoutError, match="0 connections are open after 0 s, not 1"):
            await server.wait_for_connections(1, timeout=0)


@pytest.mark.parametrize("how", ["reboot", 999, 1005, 1006, 1015, 5000])
async def test_ways_to_disconnect_that_do_not_exist(how: Any) -> None:
    """A way or code that no server may use is refused before anything happens."""
    async with MockServer() as server:
        with pytest.raises(ValueError, match=str(how)):
            await server.simulate_disconnect(how)


@pytest.mark.parametrize("status", [0, 101, 199, 600])
def test_statuses_that_refuse_nothing(status: int) -> None:
    """A status that cannot refuse a handshake is a mistake of the test."""
    with pytest.raises(ValueError, match=str(status)):
        MockServer().refuse(status)


async def test_expecting_what_no_message_is() -> None:
    """An expectation of the wrong kind is told at once, not after the timeout."""
    async with MockServer() as server:
        with pytest.raises(TypeError, match="not list"):
            await server.assert_message_sent(["ping"], timeout=30)  # type: ignore[arg-type]


async def test_a_server_that_does_not_run_says_so() -> None:
    """Using a server outside its block is a clear error."""
    with pytest.raises(RuntimeError, match="async with"):
        await MockServer().inject_message("hello")


@on_asyncio
async def test_echoes_and_remembers_by_default() -> None:
    """Without a handler every message comes back, and is kept in order."""
    async with MockServer() as server, connect(server.url) as client:
        await client.send("one")
        await client.send(b"two")
        assert [await client.recv(), await client.recv()] == ["one", b"two"]
        assert server.received == ["one", b"two"]
        assert (server.connections, server.accepted) == (1, 1)


@on_asyncio
async def test_scripted_replies() -> None:
    """A handler answers nothing, one message or several; mappings become JSON."""
    script: dict[str | bytes, Any] = {
        "many": ["a", b"b", {"c": 1}],
        "none": None,
        "one": {"d": 2},
    }
    async with MockServer(script.__getitem__) as server, connect(server.url) as client:
        for message in ("none", "many", "one"):
            await client.send(message)
        assert [await client.recv() for _ in range(4)] == ["a", b"b", '{"c": 1}', '{"d": 2}']


@on_asyncio
async def test_an_async_handler_may_take_its_time() -> None:
    """An async handler runs on the server's loop, and the replies keep their order."""

    async def slow(message: str | bytes) -> str | bytes:
        await asyncio.sleep(0.01)
        return message

    async with MockServer(slow) as server, connect(server.url) as client:
        await client.send("1")
        await client.send("2")
        assert [await client.recv(), await client.recv()] == ["1", "2"]


@on_asyncio
async def test_a_handler_that_raises_fails_the_test() -> None:
    """What the handler raises closes the connection with 1011 and is raised at the end."""
    with pytest.raises(ZeroDivisionError):
        async with MockServer(lambda _: str(1 // 0)) as server, connect(server.url) as client:
            await client.send("boom")
            with pytest.raises(ConnectionClosedError) as caught:
                await client.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1011


@on_asyncio
async def test_json_rpc_answers_by_id() -> None:
    """The ready handler `json_rpc` answers each request with its own params."""
    async with MockServer(json_rpc) as server, connect(server.url) as client:
        await client.send("no request")
        await client.send('{"id": 7, "method": "m", "params": [1]}')
        assert json.loads(await client.recv()) == {"jsonrpc": "2.0", "id": 7, "result": [1]}


@on_asyncio
@pytest.mark.parametrize(
    "expected",
    [
        '{"type": "ping", "at": {"t": 1, "u": 2}}',
        re.compile("pin."),
        re.compile("(?<!x)ping"),
        {"type": "ping"},
        {"at": {"u": 2}},
        lambda message: b"ping" in message.encode(),
    ],
)
async def test_expectations(expected: Any) -> None:
    """A message is expected whole, by pattern, by a part of its JSON, or by a callable."""
    sent = '{"type": "ping", "at": {"t": 1, "u": 2}}'
    async with MockServer() as server, connect(server.url) as client:
        await client.send("first")
        await client.send(sent)
        assert await server.assert_message_sent(expected) == sent


@on_asyncio
async def test_patterns_find_bytes_in_bytes_and_text_in_text() -> None:
    """A pattern of bytes is for binary messages, one of text for text."""
    async with MockServer() as server, connect(server.url) as client:
        await client.send("ping 1")
        await client.send(b"ping 2")
        assert await server.assert_message_sent(re.compile(rb"\d")) == b"ping 2"
        assert await server.assert_message_sent(re.compile(r"\d")) == "ping 1"


@on_asyncio
async def test_what_was_cleared_does_not_count() -> None:
    """After `clear` only what comes later is seen; counters go on."""
    async with MockServer() as server, connect(server.url) as client:
        await client.send("ping")
        await client.recv()
        server.clear()
        assert (server.received, server.requests, server.accepted) == ([], [], 1)
        with pytest.raises(AssertionError, match="nothing"):
            await server.assert_message_sent("ping", timeout=0)
        await client.send("ping")
        await server.assert_message_sent("ping")


@on_asyncio
@pytest.mark.parametrize("expected", ["pin", re.compile("^pong"), {"type": "pong"}, {"a": {}}])
async def test_expectations_that_are_not_met(expected: Any) -> None:
    """What was not sent is not found, and the error shows what was."""
    async with MockServer() as server, connect(server.url) as client:
        await client.send('{"type": "ping", "a": 1}')
        await client.recv()
        with pytest.raises(AssertionError, match=r'"type": "ping"'):
            await server.assert_message_sent(expected, timeout=0)


@on_asyncio
async def test_injected_messages_reach_every_client() -> None:
    """A message out of the blue arrives at all who are connected."""
    async with MockServer() as server, connect(server.url) as one, connect(server.url) as two:
        await server.inject_message({"type": "hello"})
        assert await one.recv() == await two.recv() == '{"type": "hello"}'


@on_asyncio
@pytest.mark.parametrize(
    ("how", "code"), [("normal", 1000), ("going_away", 1001), (1008, 1008)]
)
async def test_polite_disconnects(how: Any, code: int) -> None:
    """The server closes with the code that was asked for, and goes on listening."""
    async with MockServer() as server:
        async with connect(server.url) as client:
            await server.simulate_disconnect(how)
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == code
        await server.wait_for_connections(0)
        async with connect(server.url):
            assert (server.connections, server.accepted) == (1, 2)


@on_asyncio
@pytest.mark.parametrize("ssl", [False, True], ids=["tcp", "tls"])
async def test_a_reset_is_a_reset(ssl: bool) -> None:
    """A reset reaches the client as ConnectionResetError, without any close frame."""
    async with MockServer(ssl=ssl) as server:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            int(server.url.rpartition(":")[2]),
            ssl=server.client_ssl_context,
        )
        writer.write(HANDSHAKE)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        await server.simulate_disconnect("reset")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


@on_asyncio
async def test_a_frozen_peer_neither_answers_nor_closes() -> None:
    """After a freeze nothing comes back, not even a pong, and the socket stays open."""
    async with MockServer() as server, connect(server.url, close_timeout=0.05) as client:
        await client.send("before")
        assert await client.recv() == "before"
        await server.simulate_disconnect("freeze")
        await client.send("after")
        pong = await client.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pong, 0.2)
        assert server.received == ["before"]
        assert server.connections == 1


@on_asyncio
async def test_refuses_as_often_as_told() -> None:
    """Handshakes are refused with a status and headers, then accepted again."""
    async with MockServer() as server:
        server.refuse(429, headers={"Retry-After": "3"}, times=2)
        for _ in range(2):
            with pytest.raises(InvalidStatus) as caught:
                await connect(server.url).__aenter__()
            assert caught.value.response.status_code == 429
            assert caught.value.response.headers["Retry-After"] == "3"
        async with connect(server.url + "/feed?x=1", additional_headers={"X-Key": "k"}):
            assert (server.refused, server.accepted) == (2, 1)
        assert [seen.path for seen in server.requests] == ["/", "/", "/feed?x=1"]
        assert server.requests[-1].headers["x-key"] == "k"


@on_asyncio
@pytest.mark.parametrize("status", [200, 401, 418, 503, 520, 599])
async def test_refuses_with_any_status(status: int) -> None:
    """Any HTTP status refuses, those too that no standard names."""
    async with MockServer() as server:
        server.refuse(status)
        with pytest.raises(InvalidStatus) as caught:
            await connect(server.url).__aenter__()
        assert caught.value.response.status_code == status


@on_asyncio
async def test_stop_kills_and_start_brings_back() -> None:
    """A stopped server resets its clients and refuses new ones until it starts again."""
    async with MockServer() as server:
        async with connect(server.url) as client:
            await server.stop()
            with pytest.raises(ConnectionClosedError):
                await client.recv()
        with pytest.raises(ConnectionRefusedError):
            await connect(server.url).__aenter__()
        await server.start()
        async with connect(server.url) as client:
            await client.send("again")
            assert await client.recv() == "again"


@on_asyncio
async def test_tls_subprotocols_and_compression() -> None:
    """TLS needs the context that the server offers; the rest is negotiated when asked for."""
    async with (
        MockServer(ssl=True, subprotocols=["b", "a"], compression="deflate") as server,
        connect(
            server.url,
            ssl=server.client_ssl_context,
            subprotocols=[Subprotocol("a"), Subprotocol("b")],
        ) as client,
    ):
        assert server.url.startswith("wss://")
        assert client.subprotocol == "b"
        assert client.response is not None
        assert "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"]
        await client.send("x")
        assert await client.recv() == "x"


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
