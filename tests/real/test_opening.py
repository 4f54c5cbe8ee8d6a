from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from wsfleet import ChildSpec, ClientSupervisor, Config, connect
from wsfleet._wire.exchange import MOST_INTERIM
from wsfleet._wire.opening import open_connection
from wsfleet._wire.upgrade import default_ssl_context
from wsfleet.errors import ConnectError, HandshakeRejectedError, TlsError
from wsfleet.testing import MockServer, RawConnection, RawServer, json_rpc
from wsfleet.testing.certificates import loopback_contexts

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from wsfleet._wire.connection import Connection, Sink
    from wsfleet._wire.opening import Endpoint
    from wsfleet.testing.raw import Script

QUICK: dict[str, Any] = {"retry_count": 0, "close_timeout": 1.0}


def redirects_to(location: str) -> Script:
    """Answer every upgrade with a redirect."""

    async def answer(raw: RawConnection) -> None:
        await raw.read_request()
        await raw.write(
            b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "
            + location.encode()
            + b"\r\n\r\n"
        )
        await raw.read_to_end()

    return answer


@pytest.mark.parametrize("location", ["ws://" + "a" * 70 + ".example/", "ws://127.0.0.1:{}/"])
async def test_an_impossible_redirect_ends_the_attempt_only(
    location: str, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """
    A server that redirects to where nothing can connect costs attempts, not the client and not
    its supervisor; a port above 65535 is never taken for another one.
    """
    failed, all_failed = 0, anyio.Event()

    async def counted(endpoint: Endpoint, sink: Sink) -> Connection:
        nonlocal failed
        try:
            return await open_connection(endpoint, sink)
        except ConnectError:
            failed += 1
            if failed == 10:
                all_failed.set()
            raise

    async with MockServer(json_rpc) as good:
        location = location.format(65536 + int(good.url.rpartition(":")[2]))
        async with RawServer(redirects_to(location)) as bad:
            with pytest.raises(HandshakeRejectedError, match="redirects") as caught:
                async with connect(bad.url, max_redirects=3, **QUICK):
                    pytest.fail("never connected")
            assert caught.value.status == 302
            specs = [ChildSpec(good.url)] + [
                ChildSpec(bad.url, max_redirects=3, retry_delay=0.01) for _ in range(5)
            ]
            async with ClientSupervisor(specs, opener=counted) as fleet:
                with anyio.fail_after(10):
                    await fleet.wait_connected()
                    await all_failed.wait()
                assert await fleet.request_balanced("ping", [1]) == [1]
        assert len(good.requests) == 1
    assert not [e for e in log_entries if e["event"] == "client.crashed"]


async def test_a_connection_that_cannot_be_made_leaves_no_socket() -> None:
    """When the last step of opening fails, the socket is closed, and the error is ours."""

    def unable(*_: Any, **__: Any) -> Any:
        raise OverflowError

    async with MockServer() as server, httpx.AsyncClient() as http_client:
        for client in (None, http_client):
            config = Config(url=server.url, http_client=client)
            endpoint = replace(config.endpoint(), connection=unable)
            # Behind an http_client all code that is not of a known package is the user's.
            expected = ConnectError if client is None else OverflowError
            with pytest.raises(expected):
                await open_connection(endpoint, None)  # type: ignore[arg-type]
        with anyio.fail_after(5):
            await server.wait_for_connections(0)


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"


async def test_a_few_interim_answers_are_fine() -> None:
    """Answers that only announce the answer are passed over, also one byte at a time."""

    async def answer(raw: RawConnection) -> None:
        await raw.read_request()
        for byte in INTERIM:
            await raw.write(bytes((byte,)))
        await raw.write(INTERIM * (MOST_INTERIM - 1))
        await raw.accept()
        await raw.read_to_end()

    async with RawServer(answer) as server:
        async with connect(server.url, close_timeout=0.1, retry_count=0):
            pass


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("endless", [INTERIM, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000, b"a"])
async def test_an_answer_without_an_end_is_refused(endless: bytes, proxied: bool) -> None:
    """Interim answers and heads without an end cost a bounded number of bytes, and no wait."""

    async def answer(raw: RawConnection) -> None:
        await raw.read_request()
        while True:
            await raw.write(endless * 100)

    async with RawServer(answer) as server:
        proxy = server.url.replace("ws://", "http://") if proxied else None
        with anyio.fail_after(20), pytest.raises(ConnectError, match=r"HTTP/1\.1"):
            async with connect(server.url, timeout=30, proxy=proxy, **QUICK):
                pytest.fail("never connected")


@pytest.mark.parametrize("way", ["own", "proxy", "http_client"])
async def test_a_header_may_have_every_character_of_latin_1(way: str) -> None:
    """Values in latin-1 reach the server as they are, whatever the way."""

    async def answer(raw: RawConnection) -> None:
        await raw.accept()
        assert b"\r\nX-Name: Andr\xe9\r\n" in raw.request
        await raw.read_to_end()

    async with RawServer(answer) as server, httpx.AsyncClient() as http_client:
        ways: dict[str, dict[str, Any]] = {
            "own": {},
            "proxy": {"proxy": server.url.replace("ws://", "http://")},
            "http_client": {"http_client": http_client},
        }
        headers = {"X-Name": "Andr\u00e9"}
        async with connect(server.url, headers=headers, **ways[way], close_timeout=0.1):
            pass


class HookError(Exception):
    """What a user's hook raises."""


async def test_what_a_hook_of_a_users_http_client_raises_is_a_crash() -> None:
    """An error of a user's own code comes out as it is; it is not tried again."""
    asked = 0

    async def hook(_: httpx.Request) -> None:
        nonlocal asked
        asked += 1
        raise HookError

    async with httpx.AsyncClient(event_hooks={"request": [hook]}) as http_client:
        with pytest.raises(HookError):
            async with connect("ws://127.0.0.1:9/", http_client=http_client, retry_delay=0):
                pytest.fail("never connected")
    assert asked == 1


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("down"), OSError("down"), ExceptionGroup("", [OSError("down")])],
)
async def test_a_transport_of_the_users_may_fail_as_a_network_does(error: Exception) -> None:
    """What says that the network failed ends the attempt, also where a user's code says it."""

    class Down(httpx.AsyncBaseTransport):
        asked = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            Down.asked += 1
            raise error

    async with httpx.AsyncClient(transport=Down()) as http_client:
        with pytest.raises(ConnectError):
            async with connect(
                "ws://fake/", http_client=http_client, retry_count=2, retry_delay=0
            ):
                pytest.fail("never connected")
    assert Down.asked == 3


async def test_what_httpx_itself_raises_is_no_crash() -> None:
    """A closed http_client is an attempt that failed, and the error says why."""
    http_client = httpx.AsyncClient()
    await http_client.aclose()
    with pytest.raises(ConnectError, match="RuntimeError") as caught:
        async with connect("ws://127.0.0.1:9/", http_client=http_client, **QUICK):
            pytest.fail("never connected")
    assert isinstance(caught.value.__cause__, RuntimeError)


async def test_the_tls_context_of_a_user_is_left_alone() -> None:
    """A context that is shared with other code offers what it offered before."""
    server_context, trusting = loopback_contexts()
    server_context.set_alpn_protocols(["other", "http/1.1"])
    trusting.set_alpn_protocols(["other"])
    async with MockServer(json_rpc, ssl=server_context) as server:
        with pytest.raises(TlsError, match="chose the protocol other") as caught:
            async with connect(server.url, ssl_context=trusting):
                pytest.fail("never connected")
        assert not caught.value.recoverable
        trusting.set_alpn_protocols(["http/1.1"])
        async with connect(server.url, ssl_context=trusting) as client:
            assert await client.request("ping", [1]) == [1]


async def test_the_tls_context_of_a_user_is_left_alone_behind_a_proxy() -> None:
    """Behind a proxy a context keeps what it offers, too."""
    server_context, trusting = loopback_contexts()
    server_context.set_alpn_protocols(["other"])
    trusting.set_alpn_protocols(["other"])
    async with MockServer(ssl=server_context) as server, RawServer(tunnel) as proxy:
        with pytest.raises(TlsError, match="chose the protocol other"):
            async with connect(
                server.url,
                proxy=proxy.url.replace("ws://", "http://"),
                ssl_context=trusting,
                **QUICK,
            ):
                pytest.fail("never connected")


async def tunnel(raw: RawConnection) -> None:
    """Be a proxy that knows CONNECT."""
    await raw.read_request()
    host, _, port = raw.request.split()[1].decode().rpartition(":")
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


def test_the_default_tls_context_offers_http_1() -> None:
    """Without a context of one's own, a server is offered HTTP/1.1 and nothing else."""
    context = default_ssl_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="example.org")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()

    assert b"\x08http/1.1" in outgoing.read()
