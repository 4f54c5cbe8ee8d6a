from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import weakref
from typing import Any

import anyio
import pytest

from wsfleet import Deflate, connect
from wsfleet.errors import (
    ConnectError,
    ConnectRefusedError,
    ConnectTimeoutError,
    DnsError,
    HandshakeRejectedError,
    TlsError,
)
from wsfleet.testing import MockServer, RawConnection, RawServer, json_rpc

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


async def test_a_tls_context_is_not_kept_after_its_client() -> None:
    """A `ssl_context`, which may have a private key, is freed when its client has ended."""

    async def use(context: ssl.SSLContext) -> weakref.ref[ssl.SSLContext]:
        async with connect(server.url, ssl_context=context) as client:
            await client.request("ping", [1])
        return weakref.ref(context)

    async with MockServer(json_rpc, ssl=True) as server:
        assert server.client_ssl_context is not None
        roots = server.client_ssl_context.get_ca_certs(binary_form=True)
        data = "".join(ssl.DER_cert_to_PEM_cert(root) for root in roots)
        context = await use(ssl.create_default_context(cadata=data))
        with anyio.fail_after(10):
            while context() is not None:
                await anyio.sleep(0.01)
                gc.collect()
