from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from httpx_ws.transport import ASGIWebSocketTransport

from tests.conftest import needs_uvloop
from wsfleet import ClientState, Message, connect
from wsfleet._wire import push
from wsfleet._wire.dialing import open_socket
from wsfleet._wire.upgrade import default_ssl_context
from wsfleet.testing import FaultProxy, MockServer, RawConnection, RawServer, json_rpc

if TYPE_CHECKING:
    import socket

QUICK: dict[str, Any] = {"retry_count": 0, "close_timeout": 1.0}


@pytest.mark.parametrize("delay", [0.0, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.008, 0.013])
async def test_cancelling_a_connect_at_any_moment_leaves_nothing(delay: float) -> None:
    """However far a connect has come, cancelling it leaves no socket and no warning."""
    async with MockServer() as server:
        for _ in range(5):
            with anyio.move_on_after(delay):
                async with connect(server.url, close_timeout=0.2):
                    pass


@pytest.mark.parametrize(
    "anyio_backend",
    [
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop", marks=needs_uvloop),
    ],
)
async def test_a_socket_is_closed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connect cancelled as its socket opens closes that socket, and never another's."""
    taken: list[socket.socket] = []

    async def open_and_cancel(*where: Any) -> socket.socket:
        taken.append(await open_socket(*where))
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return taken[0]

    monkeypatch.setattr(push, "open_socket", open_and_cancel)
    async with MockServer() as server:
        stream = await push.PushBackend().connect_tcp(
            "127.0.0.1", int(server.url.split(":")[2])
        )
        with pytest.raises(asyncio.CancelledError):
            await stream.write(b"GET / HTTP/1.1")
        await anyio.wait_all_tasks_blocked()
        assert taken[0].fileno() == -1
        await server.wait_for_connections(0)


async def test_a_client_of_ones_own() -> None:
    """Connections can go through an httpx client of the user's, which stays open."""
    async with MockServer(json_rpc) as server, httpx.AsyncClient() as http_client:
        async with connect(server.url, http_client=http_client) as client:
            assert await client.request("ping", [1]) == [1]
            await client.reconnect()
            assert await client.request("ping", [1]) == [1]
        assert not http_client.is_closed


async def test_an_app_in_the_same_process() -> None:
    """An ASGI app can be spoken to without a socket."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"].upper()})

    async with (
        ASGIWebSocketTransport(app) as transport,
        httpx.AsyncClient(transport=transport) as http_client,
        connect(
            "ws://app/",
            http_client=http_client,
            heartbeat=None,
            close_timeout=0.5,
            decode="raw",
        ) as client,
    ):
        await client.send_message("hello")
        async for event in client:
            assert event == Message("HELLO")
            break


async def test_through_a_proxy() -> None:
    """Connections can go through an HTTP proxy with CONNECT, TLS inside."""

    async def tunnel(raw: RawConnection) -> None:
        await raw.read_request()
        host, _, port = raw.request.split()[1].decode().rpartition(":")
        asked.append(raw.request.split()[0])
        reader, writer = await asyncio.open_connection(host, int(port))
        await raw.write(b"HTTP/1.1 200 OK\r\n\r\n")

        async def back() -> None:
            while data := await reader.read(65536):
                await raw.write(data)

        returning = asyncio.create_task(back())
        try:
            while data := await raw.read_some():
                writer.write(data)
        finally:
            returning.cancel()
            writer.close()

    asked: list[bytes] = []
    async with MockServer(json_rpc, ssl=True) as server, RawServer(tunnel) as proxy:
        async with connect(
            server.url,
            proxy=proxy.url.replace("ws://", "http://"),
            ssl_context=server.client_ssl_context,
            close_timeout=0.5,
        ) as client:
            assert await client.request("ping", [1]) == [1]
        assert asked == [b"CONNECT"]


async def test_a_slow_network_is_no_trouble() -> None:
    """Latency slows requests down and breaks nothing."""
    async with MockServer(json_rpc) as server, FaultProxy(server.url) as proxy:
        proxy.latency = 0.05
        async with connect(proxy.url) as client:
            await client.request("ping")
            stats = client.get_latency_stats()
            assert stats is not None
            assert stats.p50 >= 0.05
            assert client.get_state() is ClientState.CONNECTED


def test_the_default_tls_context_verifies() -> None:
    """Without a context of one's own, certificates and host names are checked."""
    context = default_ssl_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert default_ssl_context() is context
