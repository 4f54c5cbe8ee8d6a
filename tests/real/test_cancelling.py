"""
Calls over real sockets, plain and TLS, cancelled after any number of turns of the event loop.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.turns import Cut, sweep
from wsfleet import Client, ClientSupervisor, connect
from wsfleet.testing import MockServer, json_rpc

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

TLS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@asynccontextmanager
async def serving(*, tls: bool) -> AsyncGenerator[tuple[MockServer, dict[str, Any]]]:
    """Serve, and give the options with which clients connect."""
    async with MockServer(json_rpc, ssl=tls) as server:
        yield server, {"ssl_context": server.client_ssl_context, "compression": None}


def skip_where_slow(backend: tuple[str, dict[str, Any]], *, tls: bool) -> None:
    """
    Skip TLS on uvloop: there the turns are counted by keeping the event loop busy, which
    starves the server in this process.
    """
    if tls and backend[1].get("use_uvloop"):
        pytest.skip("one test over TLS is enough on uvloop")


def texts_with(server: MockServer, word: str) -> int:
    """Return how many messages with a word the server got."""
    return sum(word in str(message) for message in server.received)


async def check_usable(client: Client) -> None:
    """Fail unless a client answers a request, and nothing else waits in it."""
    with anyio.fail_after(10):
        await client.wait_connected()
        assert await client.request("ping", [1]) == [1]
    assert client.pending == 0
    assert client._requests.waiting == {}


@TLS
@pytest.mark.parametrize("recorded", [False, True])
async def test_a_block(tls: bool, recorded: bool, tmp_path: Path) -> None:
    """
    Connecting, a request and leaving: no connection is left, and the recording is closed.
    """
    if recorded and tls:
        pytest.skip("a recording is the same over both")
    async with serving(tls=tls) as (server, options):
        if recorded:
            options["record_to"] = tmp_path / "recording.jsonl"

        async def block() -> None:
            async with connect(server.url, timeout=20.0, **options) as client:
                assert await client.request("m", [1]) == [1]

        async def scenario(cut: Cut) -> None:
            await cut(block)
            await server.wait_for_connections(0, timeout=10.0)

        await sweep(scenario)


@TLS
async def test_start_and_stop(tls: bool, anyio_backend: tuple[str, dict[str, Any]]) -> None:
    """`start_client` leaves no child when it is cancelled, and `stop_client` stops."""
    skip_where_slow(anyio_backend, tls=tls)
    async with serving(tls=tls) as (server, options), ClientSupervisor() as pool:

        async def start(cut: Cut) -> None:
            client = await cut(lambda: pool.start_client(server.url, name="a", **options))
            if cut.cancelled:
                assert pool.list_clients() == []
            else:
                await pool.stop_client(client)
            await server.wait_for_connections(0, timeout=10.0)

        async def stop(cut: Cut) -> None:
            client = await pool.start_client(server.url, name="a", **options)
            await cut(lambda: pool.stop_client(client))
            await server.wait_for_connections(0, timeout=10.0)
            with anyio.fail_after(10):
                await pool.stop_client(client)
            assert pool.list_clients() == []

        await sweep(start)
        await sweep(stop)


@TLS
async def test_calls_of_one_client(
    tls: bool, anyio_backend: tuple[str, dict[str, Any]]
) -> None:
    """
    A client whose calls are cancelled at every step stays usable: each message arrives whole,
    once, or not at all, and what it says of its channels is what the server was told.
    """
    skip_where_slow(anyio_backend, tls=tls)
    async with serving(tls=tls) as (server, options), connect(server.url, **options) as client:

        async def send(cut: Cut, message: str) -> None:
            sent = client._sender.sent
            await cut(lambda: client.send_message(message))
            counted = client._sender.sent - sent
            await check_usable(client)
            assert server.received.count(message) == counted
            assert counted or cut.cancelled
            server.clear()

        async def ask(cut: Cut) -> None:
            result = await cut(lambda: client.request("mine", [cut.turns]))
            assert cut.cancelled or result == [cut.turns]
            await check_usable(client)
            assert texts_with(server, "mine") <= 1
            server.clear()

        async def subscribe(cut: Cut) -> None:
            await cut(lambda: client.subscribe("channel"))
            await check_usable(client)
            await check_channels(cut, server, client)
            await client.unsubscribe("channel")
            assert client.get_subscriptions() == {}
            server.clear()

        async def unsubscribe(cut: Cut) -> None:
            await client.subscribe("channel")
            await cut(lambda: client.unsubscribe("channel"))
            await check_usable(client)
            is_told = texts_with(server, "unsubscribe") > 0
            assert bool(client.get_subscriptions()) is not is_told
            await client.unsubscribe("channel")
            server.clear()

        async def reconnect(cut: Cut) -> None:
            await cut(client.reconnect)
            await check_usable(client)
            await server.wait_for_connections(1, timeout=10.0)
            server.clear()

        calls: list[Callable[[Cut], Any]] = [
            lambda cut: send(cut, "short"),
            lambda cut: send(cut, "long" * 100_000),
            ask,
            subscribe,
            unsubscribe,
            reconnect,
        ]
        for call in calls:
            await check_usable(client)  # all of its tasks run
            await sweep(call)


async def check_channels(cut: Cut, server: MockServer, client: Client) -> None:
    """Fail unless a channel that a cancelled call asked for is gone at the server, too."""
    if cut.cancelled:
        assert client.get_subscriptions() == {}
        await check_usable(client)  # a removal that followed the answer has arrived
        asked = texts_with(server, '"subscribe"') + texts_with(server, "'subscribe'")
        assert texts_with(server, "unsubscribe") == asked
    else:
        assert client.get_subscriptions() == {"channel": "confirmed"}
