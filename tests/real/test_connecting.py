from __future__ import annotations

import asyncio
import base64
import logging
import socket
import ssl
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from httpx_ws.transport import ASGIWebSocketTransport

from wsfleet import ClientState, Deflate, Message, ProtocolError, connect
from wsfleet._wire.transport import default_ssl_context
from wsfleet.errors import (
    ConnectError,
    ConnectRefusedError,
    ConnectTimeoutError,
    DnsError,
    HandshakeRejectedError,
    TlsError,
)
from wsfleet.testing import FaultProxy, MockServer, RawConnection, RawServer, json_rpc

if TYPE_CHECKING:
    from collections.abc import MutableMapping

QUICK: dict[str, Any] = {"retry_count": 0, "close_timeout": 1.0}


async def test_a_request_over_a_real_socket() -> None:
    """A request to a real server gets its response, compressed or not."""
    async with MockServer(json_rpc) as server:
        for compression in (True, False, Deflate(threshold=1)):
            async with connect(server.url, compression=compression) as client:
                params = {"text": "again and again " * 200}
                assert await client.request("echo", params) is not None


async def test_a_request_over_tls() -> None:
    """Over TLS with a certificate that is trusted, requests are answered."""
    async with MockServer(json_rpc, ssl=True) as server:
        context = server.client_ssl_context
        async with connect(server.url, ssl_context=context) as client:
            for _ in range(3):
                await client.request("ping")
            await client.reconnect()
            await client.request("ping")


async def test_an_untrusted_certificate_is_refused_at_once() -> None:
    """
    A certificate that nobody vouches for fails at once, and says that it was the certificate.
    """
    async with MockServer(ssl=True) as server:
        with pytest.raises(TlsError, match="certificate") as caught:
            async with connect(server.url, retry_count=5):
                pytest.fail("never connected")
    assert not caught.value.recoverable


async def test_a_certificate_for_another_host_is_refused_at_once() -> None:
    """A good certificate of somebody else fails at once."""
    async with MockServer(ssl=True) as server:
        context = server.client_ssl_context
        url = server.url.replace("localhost", "127.0.0.2").replace("127.0.0.1", "127.0.0.2")
        try:
            async with connect(url, ssl_context=context, retry_count=0):
                pytest.fail("never connected")
        except (TlsError, ConnectRefusedError) as exc:
            assert isinstance(exc, TlsError) or "127.0.0.2" in str(exc)  # noqa: PT017


async def test_tls_to_a_server_without_tls() -> None:
    """wss:// to a server that speaks plain HTTP fails with a TLS error."""
    async with MockServer() as server:
        with pytest.raises(ConnectError):
            async with connect(server.url.replace("ws://", "wss://"), **QUICK):
                pytest.fail("never connected")


async def test_nobody_listens() -> None:
    """A port where nobody listens is refused, and says where."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(ConnectRefusedError, match=f"127.0.0.1:{port}"):
        async with connect(f"ws://127.0.0.1:{port}/", **QUICK):
            pytest.fail("never connected")


async def test_a_host_that_does_not_exist() -> None:
    """A name that does not resolve is told as such."""
    with pytest.raises(DnsError):
        async with connect("ws://does-not-exist.invalid/", **QUICK):
            pytest.fail("never connected")


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_server_that_never_answers(scheme: str) -> None:
    """A server that accepts and stays silent fails within the timeout, over TLS too."""

    async def silent(raw: RawConnection) -> None:
        await raw.read_to_end()

    async with RawServer(silent) as server:
        url = server.url.replace("ws://", f"{scheme}://")
        with pytest.raises(ConnectTimeoutError, match=r"0\.3 s"):
            async with connect(url, timeout=0.3, **QUICK):
                pytest.fail("never connected")


async def test_a_server_that_drips_is_bounded_too() -> None:
    """A server that sends its answer byte by byte, for ever, fails within the timeout."""

    async def drip(raw: RawConnection) -> None:
        await raw.read_request()
        await raw.write(b"HTTP/1.1 101 Switching Protocols\r\n")
        for n in range(1000):
            await raw.write(b"x-%d: y\r\n" % n)
            await asyncio.sleep(0.02)  # servers run on asyncio

    async with RawServer(drip) as server:
        with pytest.raises(ConnectTimeoutError):
            async with connect(server.url, timeout=0.3, **QUICK):
                pytest.fail("never connected")


async def test_an_endless_header_is_bounded() -> None:
    """A server whose headers never end is refused before they fill the memory."""

    async def endless(raw: RawConnection) -> None:
        await raw.read_request()
        await raw.write(b"HTTP/1.1 101 Switching Protocols\r\nx: " + b"y" * 1_000_000)

    async with RawServer(endless) as server:
        with pytest.raises(ConnectError):
            async with connect(server.url, timeout=5.0, **QUICK):
                pytest.fail("never connected")


async def test_refused_and_then_accepted() -> None:
    """A server that answers 503 twice is reached at the third try."""
    async with MockServer(json_rpc) as server:
        server.refuse(status=503, headers={"Retry-After": "0"}, times=2)
        async with connect(server.url, retry_delay=0.01) as client:
            await client.request("ping")
        assert (server.refused, server.accepted) == (2, 1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
async def test_what_cannot_heal_fails_at_once(status: int) -> None:
    """A 401, 403 or 404 is raised as that, at once, with what to do."""
    async with MockServer() as server:
        server.refuse(status=status, times=1)
        with pytest.raises(HandshakeRejectedError, match=str(status)) as caught:
            async with connect(server.url, retry_count=5):
                pytest.fail("never connected")
        assert caught.value.status == status
        assert server.refused == 1


async def test_a_wrong_accept_key_is_not_believed() -> None:
    """A server that answers with a wrong Sec-WebSocket-Accept is refused at once."""

    async def wrong(raw: RawConnection) -> None:
        await raw.accept(accept_key=b"AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
        await raw.read_to_end()

    async with RawServer(wrong) as server:
        with pytest.raises(HandshakeRejectedError, match="Sec-WebSocket-Accept"):
            async with connect(server.url, retry_count=5):
                pytest.fail("never connected")


@pytest.mark.parametrize(
    "header",
    [
        b"Sec-WebSocket-Protocol: unasked\r\n",
        b"Sec-WebSocket-Extensions: x-unasked\r\n",
        b"Sec-WebSocket-Extensions: permessage-deflate; unknown=1\r\n",
    ],
)
async def test_what_was_not_offered_is_refused(header: bytes) -> None:
    """A server that chooses a subprotocol or an extension that was not offered is refused."""

    async def wrong(raw: RawConnection) -> None:
        await raw.accept(headers=header)
        await raw.read_to_end()

    async with RawServer(wrong) as server:
        with pytest.raises(HandshakeRejectedError, match="the server"):
            async with connect(server.url, **QUICK):
                pytest.fail("never connected")


async def test_garbage_instead_of_http() -> None:
    """A server of another protocol is refused with an error of ours."""

    async def garbage(raw: RawConnection) -> None:
        await raw.read_request()
        await raw.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await raw.read_to_end()

    async with RawServer(garbage) as server:
        with pytest.raises(ConnectError, match="HTTP"):
            async with connect(server.url, **QUICK):
                pytest.fail("never connected")


async def test_a_reset_during_the_upgrade() -> None:
    """A server that resets instead of answering is a connection error that can heal."""

    async def resets(raw: RawConnection) -> None:
        await raw.read_request()
        raw.reset()

    async with RawServer(resets) as server:
        with pytest.raises(ConnectError) as caught:
            async with connect(server.url, **QUICK):
                pytest.fail("never connected")
    assert caught.value.recoverable


async def test_messages_glued_to_the_answer_arrive() -> None:
    """What a server sends in one piece with its 101 is not lost."""

    async def eager(raw: RawConnection) -> None:
        await raw.read_request()
        await raw.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + raw.accept_key + b"\r\n\r\n"
            b"\x81\x05first\x81\x06second\x81\x05th"
        )
        await raw.write(b"ird")
        await raw.read_to_end()

    async with RawServer(eager) as server, connect(server.url, close_timeout=0.1) as client:
        got = []
        async for event in client:
            got.append(event)
            if len(got) == 3:
                break
    assert got == [Message("first"), Message("second"), Message("third")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x85....hello", 1002),
        (b"\xff\xff\xff\xff", 1002),
        (b"GET / HTTP/1.1\r\n", 1002),
        (b"\x81\x01\xff", 1007),
        (b"\x82\x7f\x00\x00\x00\x00\x7f\xff\xff\xff", 1009),
    ],
)
async def test_garbage_instead_of_frames(data: bytes, code: int) -> None:
    """
    A server that breaks the protocol is told the right close code; the client learns why, and
    reconnects.
    """
    seen: list[bytes] = []

    async def broken(raw: RawConnection) -> None:
        await raw.accept()
        await raw.write(data)
        seen.append(await raw.read(8))

    async with RawServer(broken) as server:
        reconnected = anyio.Event()
        got: list[Any] = []

        def on_connect(client: Any) -> None:
            if client.life.generation == 2:
                reconnected.set()

        async with connect(
            server.url,
            handler=got.append,
            on_connect=on_connect,
            retry_delay=0.01,
            close_timeout=0.5,
        ):
            with anyio.fail_after(5):
                await reconnected.wait()
    assert isinstance(got[0], ProtocolError)
    frame = seen[0]
    assert frame[0] == 0x88
    assert (
        int.from_bytes(bytes(b ^ k for b, k in zip(frame[6:8], frame[2:6], strict=False)))
        == code
    )


async def test_subprotocols_and_headers_reach_the_server() -> None:
    """
    Headers, userinfo as Basic auth, path, query and subprotocols reach the server as given.
    """
    async with MockServer(subprotocols=["v2"]) as server:
        url = server.url.replace("ws://", "ws://me:p%40ss@") + "/path?token=1&b=%20"
        async with connect(
            url, headers={"X-Mine": "yes"}, subprotocols=["v1", "v2"], **QUICK
        ) as client:
            assert client.life.connection is not None
            assert client.life.connection.subprotocol == "v2"
        request = server.requests[0]
        assert request.path.endswith("/path?token=1&b=%20")
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert headers["x-mine"] == "yes"
        assert headers["authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
        assert headers["user-agent"] == "wsfleet"


async def test_secrets_are_in_no_log(
    caplog: pytest.LogCaptureFixture, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """With every logger of every library at debug, no secret of URL or headers is logged."""
    caplog.set_level(logging.DEBUG)
    async with MockServer() as server:
        caplog.clear()
        url = server.url.replace("ws://", "ws://user:s3cret1@") + "/?key=s3cret2"
        headers = {"Authorization": "Bearer s3cret3"}
        async with connect(url, headers=headers) as client:
            await client.send_message("x")
            shown = repr(client) + repr(client.config)
        server.refuse(status=403)
        with pytest.raises(HandshakeRejectedError) as caught:
            async with connect(url, headers=headers):
                pytest.fail("never connected")
        shown += repr(caught.value) + str(caught.value)
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("wsfleet.testing")]
    assert "s3cret" not in shown + repr(ours) + repr(log_entries)


@pytest.mark.parametrize("delay", [0.0, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.008, 0.013])
async def test_cancelling_a_connect_at_any_moment_leaves_nothing(delay: float) -> None:
    """However far a connect has come, cancelling it leaves no socket and no warning."""
    async with MockServer() as server:
        for _ in range(5):
            with anyio.move_on_after(delay):
                async with connect(server.url, close_timeout=0.2):
                    pass


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
        while data := await raw._reader.read(65536):
            writer.write(data)
        returning.cancel()
        writer.close()
        await writer.wait_closed()

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
