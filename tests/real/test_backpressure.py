"""Loops that send, peers that do not read and consumers that are slow, over real sockets."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from wsfleet import ChildSpec, Client, ClientSupervisor, PingPong, connect
from wsfleet.errors import BackpressureError, NotConnectedError, RequestTimeoutError, SendError
from wsfleet.testing import MockServer, RawConnection, RawServer

CLOSE_1012 = b"\x88\x02\x03\xf4"
TICKS = 100
"""Events that come before each answer."""

ASKED = 8
"""Requests that are made, one for each event."""


async def test_a_loop_that_waits_and_sends_never_stops_the_others() -> None:
    """
    A server that closes each connection a moment after the upgrade cannot make the natural
    loop of "wait until connected, ask, and again" stop the event loop.
    """
    accepted = 0

    async def script(connection: RawConnection) -> None:
        nonlocal accepted
        accepted += 1
        await connection.accept()
        await asyncio.sleep(0.01)  # the server's thread has an event loop of its own
        await connection.write(CLOSE_1012)
        await connection.read_to_end()

    async def ask(client: Client) -> None:
        while True:
            await client.wait_connected()
            try:
                await client.request("m")
            except SendError:
                continue

    async with RawServer(script) as server:
        async with connect(
            server.url,
            retry_count=None,
            retry_delay=0.001,
            max_backoff=0.01,
            close_timeout=0.02,
        ) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(ask, client)
                with anyio.fail_after(30):
                    while accepted < 15:  # noqa: ASYNC110 - it is this task that must run
                        await anyio.sleep(0.005)
                tasks.cancel_scope.cancel()


def ticks_and_answer(request: Any) -> list[Any]:
    """Answer after more events than the inbox holds."""
    request = json.loads(request)
    first = request["params"][0]
    ticks = [{"tick": first + number} for number in range(TICKS)]
    return [*ticks, {"id": request["id"], "result": first + TICKS}]


@pytest.mark.parametrize("how", ["loop", "handler"])
async def test_a_request_for_each_event_is_answered(how: str) -> None:
    """
    With "block", a loop or an async handler that asks at each event gets each answer, and each
    event in its order, though many come before the answer.
    """
    next_tick, seen, done = 0, list[int](), anyio.Event()
    clients = list[Client]()

    async def ask(event: Any) -> None:
        nonlocal next_tick
        seen.append(event.data["tick"])
        if len(seen) <= ASKED:
            next_tick = await clients[0].request("m", [next_tick], timeout=10.0)
        elif len(seen) == ASKED * TICKS:
            done.set()

    async with MockServer(ticks_and_answer) as server:
        async with connect(
            server.url,
            inbox_size=16,
            handler=ask if how == "handler" else None,
            on_connect=clients.append,
        ) as client:
            await server.inject_message('{"tick": -1}')
            with anyio.fail_after(40):
                if how == "loop":
                    async for event in client:
                        await ask(event)
                        if done.is_set():
                            break
                await done.wait()

    assert seen[: ASKED * TICKS] == list(range(-1, ASKED * TICKS - 1))


async def test_answers_behind_too_many_bytes_fail_with_their_reason() -> None:
    """Events that fill `inbox_bytes` before an answer make its request fail at once."""

    def flood(request: Any) -> list[Any]:
        return [*["x" * 10_000] * 300, {"id": json.loads(request)["id"], "result": 1}]

    async with MockServer(flood) as server:
        async with connect(server.url, inbox_bytes=500_000, inbox_size=16) as client:
            events = aiter(client)
            with anyio.fail_after(20), pytest.raises(BackpressureError) as caught:
                await client.request("m", timeout=20.0)
            assert caught.value.sent is None
            assert len(client.inbox) < 300
            with pytest.raises(BackpressureError) as caught:
                await client.request("m")
            assert caught.value.sent is False
            with anyio.fail_after(20):
                for _ in range(300):
                    await anext(events)


async def test_a_peer_that_does_not_read_gets_no_messages() -> None:
    """
    Balanced messages pass by a client whose peer has stopped reading; one that is sent over it
    all the same has its deadline.
    """

    async def stall(connection: RawConnection) -> None:
        await connection.accept()
        await asyncio.Event().wait()

    quiet: Any = {"heartbeat": PingPong(interval=60, timeout=60), "close_timeout": 0.2}
    async with RawServer(stall) as stalled, MockServer(lambda _: None) as good:
        specs = [
            ChildSpec(server.url, name=name, request_timeout=0.5, compression=None, **quiet)
            for server, name in ((stalled, "stalled"), (good, "good"))
        ]
        async with ClientSupervisor(specs) as pool:
            await pool.wait_connected(2)
            client = pool.list_clients()[0]
            client.send_nowait("z" * 16_000_000)
            with anyio.fail_after(20):
                for number in range(20):
                    await pool.send_balanced(f"note {number}")
                    await good.assert_message_sent(f"note {number}", timeout=10.0)
            assert client.get_health() <= 4.0
            with anyio.fail_after(20), pytest.raises(RequestTimeoutError) as caught:
                await client.send_message("note")
            assert caught.value.sent is False


async def test_a_pool_whose_connections_are_all_lost_yields() -> None:
    """A loop over a pool without a connection lets its clients come back."""

    async def close_at_once(connection: RawConnection) -> None:
        await connection.accept()
        await connection.write(CLOSE_1012)
        await connection.read_to_end()

    async with RawServer(close_at_once) as server:
        spec = ChildSpec(server.url, retry_count=None, retry_delay=0.001, close_timeout=0.02)
        async with ClientSupervisor([spec]) as pool:
            client, failed = pool.list_clients()[0], 0
            with anyio.fail_after(30):
                while failed < 50 or client.life.generation < 3:
                    try:
                        await pool.send_balanced("note")
                        await client.send_message("note")
                    except (SendError, NotConnectedError):
                        failed += 1


async def test_messages_that_grow_when_inflated_do_not_fill_the_memory() -> None:
    """
    With "block", compressed messages that were read before the inbox was full are inflated only
    when there is room again: a few kilobytes cannot become hundreds of megabytes.
    """
    bombs, size = 100, 1_000_000
    packer = zlib.compressobj(9, wbits=-15)
    payload = packer.compress(b"x" * size) + packer.flush(zlib.Z_SYNC_FLUSH)
    frame = b"\xc1\x7e" + (len(payload) - 4).to_bytes(2) + payload[:-4]

    async def script(connection: RawConnection) -> None:
        await connection.accept(
            b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
        )
        await connection.read_some()
        await connection.write(frame * bombs)
        await connection.read_to_end()

    async with RawServer(script) as server:
        async with connect(
            server.url, inbox_bytes=size, decode="raw", close_timeout=0.2
        ) as client:
            events, most = aiter(client), 0
            await client.send_message("begin")
            with anyio.fail_after(30):
                while not client.inbox.paused:
                    await checkpoint()
                for _ in range(bombs):
                    await checkpoint()
                    most = max(most, len(client.inbox))
                for _ in range(bombs):
                    await anext(events)

    assert most < 20
