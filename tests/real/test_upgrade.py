from __future__ import annotations

import base64
from typing import Any

import anyio
import pytest

from wsfleet import Message, ProtocolError, connect
from wsfleet.errors import (
    ConnectError,
    HandshakeRejectedError,
)
from wsfleet.testing import MockServer, RawConnection, RawServer

QUICK: dict[str, Any] = {"retry_count": 0, "close_timeout": 1.0}


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
