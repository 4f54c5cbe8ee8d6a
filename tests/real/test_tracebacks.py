from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from tests.real.planted import shown_by
from wsfleet import Client, ClientPing, ClientSupervisor, Config, connect, venues
from wsfleet.errors import (
    ConfigError,
    ConnectError,
    ConnectTimeoutError,
    HandshakeRejectedError,
    RequestTimeoutError,
    SessionRejectedError,
    TlsError,
    WsfleetError,
)
from wsfleet.testing import MockServer, RawServer, json_rpc
from wsfleet.venues import Grant, Login, Venue

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsfleet.testing import RawConnection

SECRET = "s3cret"
QUICK: dict[str, Any] = {"retry_count": 0, "close_timeout": 1.0, "timeout": 20.0}


def secret_options(url: str) -> dict[str, Any]:
    """Return options that have a secret wherever there can be one."""
    return {
        "url_or_config": url.replace("://", f"://user:{SECRET}@")
        + f"/token/{SECRET}?k={SECRET}",
        "headers": {"X-Key": SECRET, "Cookie": SECRET},
        "subprotocols": [f"bearer.{SECRET}"],
        "venue": venues.deribit(client_id="someone", client_secret=SECRET),
        "heartbeat": ClientPing(message=SECRET, answer=SECRET),
        **QUICK,
    }


async def fail(expected: type[BaseException], options: dict[str, Any], **more: Any) -> None:
    """Connect, which must fail, and see that the error shows no secret."""
    with pytest.raises(expected) as caught:
        async with connect(**{**options, **more}):
            await anyio.sleep(30)
    assert SECRET not in shown_by(caught.value, __file__)


async def test_attempts_that_fail_show_no_secret() -> None:
    """
    Whatever ends an attempt to connect, neither the error nor a traceback that is rendered with
    local variables shows what the client was given.
    """
    async with MockServer(json_rpc) as server:
        options = secret_options(server.url)
        await server.stop()
        await fail(ConnectError, options)
        await server.start()
        for status in (401, 302, 503):
            server.refuse(status=status, headers={"location": f"ws://b/{SECRET}?k={SECRET}"})
            await fail(HandshakeRejectedError, options)
        server.refuse(status=302, headers={"location": f"ws://b/?k={SECRET}"})
        await fail(HandshakeRejectedError, options, max_redirects=1)
        await server.stop()
        proxy = server.url.replace("ws://", f"http://user:{SECRET}@")
        await fail(ConnectError, options, proxy=proxy)
        tls = options["url_or_config"].replace("ws://", "wss://")
        await fail(ConnectError, options, url_or_config=tls, proxy=proxy)


async def test_tls_that_fails_shows_no_secret() -> None:
    """A certificate that nobody vouches for, and a server without TLS."""
    async with MockServer(ssl=True) as server:
        await fail(TlsError, secret_options(server.url))


async def test_servers_that_answer_wrong_see_no_secret_repeated() -> None:
    """A server that echoes, breaks the handshake or is silent makes no error show secrets."""

    async def echo(raw: RawConnection) -> None:
        await raw.read_request()
        await raw.write(raw.request)
        await raw.read_to_end()

    async def choose(raw: RawConnection) -> None:
        await raw.accept(headers=f"Sec-WebSocket-Protocol: x.{SECRET}\r\n".encode())
        await raw.read_to_end()

    async def silent(raw: RawConnection) -> None:
        await raw.read_to_end()

    async def header(raw: RawConnection) -> None:
        await raw.read_request()
        await raw.write(b"HTTP/1.1 101 X\r\n" + SECRET.encode() + b"\0\r\n\r\n")
        await raw.read_to_end()

    for answer in (echo, choose, header, silent):
        async with RawServer(answer) as server:
            await fail(ConnectError, {**secret_options(server.url), "timeout": 0.5})


async def test_an_http_client_that_fails_shows_no_secret() -> None:
    """What a transport of the user's raises keeps its own frames, and no others."""

    class Failing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            del request
            raise LookupError("mine")

    async with httpx.AsyncClient(transport=Failing()) as http_client:
        with pytest.raises(LookupError) as caught:
            async with connect(**secret_options("ws://host"), http_client=http_client):
                pytest.fail("connected")
    shown = "".join(traceback.format_tb(caught.value.__traceback__))
    assert "handle_async_request" in shown
    assert SECRET not in shown_by(caught.value, __file__)


async def test_an_attempt_that_is_cancelled_shows_no_secret() -> None:
    """The timeout of a caller has no frame of ours with a secret, wherever it hits."""

    async def silent(raw: RawConnection) -> None:
        await raw.read_to_end()

    async with RawServer(silent) as server:
        for client in (Client(**secret_options(server.url)), None):
            with pytest.raises(TimeoutError) as caught:
                with anyio.fail_after(0.1):
                    if client is not None:
                        await client.run()
                    async with connect(**secret_options(server.url)):
                        pytest.fail("connected")
            assert SECRET not in shown_by(caught.value, __file__)


@pytest.mark.parametrize("outcome", ["refused", "silent", "unreadable", "unmakeable"])
async def test_logins_that_fail_show_no_secret(outcome: str) -> None:
    """
    A login that is refused, in words that repeat it, not answered, or not understood, is in no
    error and in no frame of ours.
    """

    def answer(text: Any) -> Any:
        message = json.loads(text)
        if outcome == "silent":
            return None
        if outcome == "unreadable":
            return {"id": message["id"], "result": {"refresh_token": SECRET}}
        words = f"no such secret: {message['params']['client_secret']}"
        return {"id": message["id"], "error": {"code": 1, "message": words}}

    def make(_: Grant | None) -> dict[str, Any]:
        params = {"client_id": "id", "client_secret": SECRET}
        if outcome == "unmakeable":
            params["when"] = object()  # type: ignore[assignment]
        return {"jsonrpc": "2.0", "method": "auth", "params": params}

    def read(_: object) -> Grant:
        raise LookupError("no token")

    expected = ConnectTimeoutError if outcome == "silent" else SessionRejectedError
    async with MockServer(answer) as server:
        options = secret_options(server.url)
        patience = 0.1 if outcome == "silent" else 20.0
        options["venue"] = Venue(login=Login(request=make, read=read, timeout=patience))
        await fail(expected, options)


async def test_a_handler_that_fails_shows_no_secret() -> None:
    """The crash of a handler keeps its traceback, in which no frame of ours has a secret."""

    def handle(_: object) -> None:
        raise LookupError("mine")

    async with MockServer(json_rpc) as server:
        options = secret_options(server.url)
        with pytest.raises(LookupError) as caught:
            async with connect(**options, handler=handle):
                await server.inject_message({"event": 1})
                await anyio.sleep(30)
    assert "handle" in "".join(traceback.format_tb(caught.value.__traceback__))
    assert SECRET not in shown_by(caught.value, __file__)


BAD_OPTIONS: list[dict[str, Any]] = [
    {"timeout": -1},
    {"headers": {"X-Key": f"{SECRET}\n"}},
    {"unknown": SECRET},
    {"url_or_config": f"http://user:{SECRET}@host"},
    {"url_or_config": f"ws://user:{SECRET}@[::1"},
    {"proxy": f"ftp://user:{SECRET}@host"},
]


@pytest.mark.parametrize(
    "bad", BAD_OPTIONS, ids=["number", "header", "unknown", "url", "broken", "proxy"]
)
async def test_options_that_cannot_be_show_no_secret(bad: dict[str, Any]) -> None:
    """An option that is refused shows no other option either, however the config is made."""

    async def supervise(**options: Any) -> None:
        async with ClientSupervisor() as pool:
            await pool.start_client(**options)

    async def join(**options: Any) -> None:
        async with connect(**options):
            pytest.fail("connected")

    async def make(*, url_or_config: str, **options: Any) -> None:
        Config(url=url_or_config, **options)

    makers: list[Callable[..., Any]] = [supervise, join, make]
    for maker in makers:
        with pytest.raises((ConfigError, TypeError)) as caught:
            await maker(**{**secret_options("ws://host"), **bad})
        assert SECRET not in shown_by(caught.value, __file__)


async def test_messages_that_cannot_be_sent_are_in_no_error() -> None:
    """A message that is not sent, or not answered, is in no error and in no frame of ours."""
    surrogate = SECRET + "\ud800"
    async with MockServer(lambda _: None) as server:
        async with connect(server.url, close_timeout=1.0, request_timeout=0.1) as client:
            for message in (surrogate, {"id": 1, "k": surrogate}, {"k": SECRET, "x": object()}):
                with pytest.raises((UnicodeEncodeError, TypeError)) as refused:
                    await client.send_message(message)
                assert SECRET not in shown_by(refused.value, __file__)
                with pytest.raises((UnicodeEncodeError, TypeError)) as refused:
                    client.send_nowait(message)
                assert SECRET not in shown_by(refused.value, __file__)
            with pytest.raises(UnicodeEncodeError, match="nothing was sent") as coded:
                await client.request("login", {"k": surrogate})
            assert SECRET not in shown_by(coded.value, __file__) + coded.value.object
            with pytest.raises(RequestTimeoutError) as late:
                await client.request("login", {"k": SECRET})
            assert SECRET not in shown_by(late.value, __file__)
            with pytest.raises(RequestTimeoutError) as late:
                await client.send_message({"id": 1, "k": SECRET})
            assert SECRET not in shown_by(late.value, __file__)


async def test_balanced_messages_are_in_no_error() -> None:
    """A message that no client of a pool could send is in no error and in no frame of ours."""
    async with ClientSupervisor() as pool:
        sending: list[Callable[[], Any]] = [
            lambda: pool.send_balanced({"id": 1, "k": SECRET}),
            lambda: pool.request_balanced("login", {"k": SECRET}),
            lambda: pool.send_balanced(SECRET, max_attempts=0),
            lambda: pool.send_balanced(SECRET, client_discovery=lambda: [1 / 0]),  # type: ignore[list-item]
        ]
        for send in sending:
            with pytest.raises((WsfleetError, ArithmeticError)) as caught:
                await send()
            assert SECRET not in shown_by(caught.value, __file__)
