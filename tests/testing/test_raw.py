from __future__ import annotations

import anyio
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake

from wsfleet.testing import RawConnection, RawServer

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def talk(server: RawServer, data: bytes) -> bytes:
    """Send bytes, and read until the server ends the connection."""
    answer = b""
    async with await anyio.connect_tcp("127.0.0.1", int(server.url.rpartition(":")[2])) as tcp:
        await tcp.send(data)
        try:
            while True:
                answer += await tcp.receive()
        except anyio.EndOfStream:
            return answer


async def test_a_script_answers_any_bytes() -> None:
    """What the script writes arrives byte for byte, and its end is the connection's end."""

    async def script(connection: RawConnection) -> None:
        assert await connection.read_request() == REQUEST
        await connection.write(b"\x00garbage")

    async with RawServer(script) as server:
        assert await talk(server, REQUEST) == b"\x00garbage"
        assert server.accepted == 1


async def test_accept_computes_the_key_of_the_standard() -> None:
    """The handshake's answer is right: the example of RFC 6455 section 1.3."""

    async def script(connection: RawConnection) -> None:
        await connection.accept(b"X-Extra: 1\r\n")
        await connection.write(await connection.read(2))

    async with RawServer(script) as server:
        answer = await talk(server, REQUEST + b"\x81\x00")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Extra: 1\r\n" in answer
    assert answer.endswith(b"\r\n\r\n\x81\x00")


async def test_a_wrong_script_fails_the_test() -> None:
    """What the script raises is raised at the end of the block."""

    async def script(connection: RawConnection) -> None:
        assert await connection.read_request() == b"another"

    with pytest.raises(AssertionError):
        async with RawServer(script) as server:
            await talk(server, REQUEST)


async def test_a_script_that_never_answers_ends_with_the_block() -> None:
    """A connection that is held open is reset when the test is done."""

    async def script(connection: RawConnection) -> None:
        await connection.read_to_end()

    async with RawServer(script) as server:
        port = int(server.url.rpartition(":")[2])
        tcp = await anyio.connect_tcp("127.0.0.1", port)
        with anyio.move_on_after(0.05) as scope:
            await tcp.receive()
        assert scope.cancelled_caught
        await server.stop()
        with pytest.raises(anyio.BrokenResourceError):
            await tcp.receive()
        await tcp.aclose()


async def test_a_script_can_reset() -> None:
    """A reset by the script is an error at the client, not an end."""

    async def script(connection: RawConnection) -> None:
        await connection.read_request()
        connection.reset()

    async with RawServer(script) as server:
        with pytest.raises(anyio.BrokenResourceError):
            await talk(server, REQUEST)


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": False})], ids=["asyncio"])
async def test_a_wrong_accept_key() -> None:
    """A client that checks the key refuses a server that made it up."""

    async def script(connection: RawConnection) -> None:
        await connection.accept(accept_key=b"AAAA")

    async with RawServer(script) as server:
        with pytest.raises(InvalidHandshake):
            await connect(server.url).__aenter__()
