from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING

import anyio
import pytest
from websockets.asyncio.client import connect

from wsfleet.testing import FaultProxy, MockServer, RawConnection, RawServer

if TYPE_CHECKING:
    from anyio.abc import SocketStream


async def echo_bytes(connection: RawConnection) -> None:
    """Send every byte back until the client ends."""
    while True:
        await connection.write(await connection.read(1))


async def swallow(connection: RawConnection) -> None:
    """Read everything, answer nothing, and end with the client."""
    await connection.read_to_end()


async def dial(proxy: FaultProxy) -> SocketStream:
    """Connect to the proxy."""
    return await anyio.connect_tcp("127.0.0.1", int(proxy.url.rpartition(":")[2]))


async def read(tcp: SocketStream, count: int) -> bytes:
    """Read this many bytes."""
    data = b""
    while len(data) < count:
        data += await tcp.receive(count - len(data))
    return data


async def test_bytes_pass_unchanged_both_ways() -> None:
    """Without faults the proxy is not noticed."""
    async with RawServer(echo_bytes) as server, FaultProxy(server.url) as proxy:
        async with await dial(proxy) as tcp:
            await tcp.send(bytes(range(256)))
            assert await read(tcp, 256) == bytes(range(256))
            assert (proxy.connections, proxy.accepted) == (1, 1)


async def test_the_end_of_a_stream_passes() -> None:
    """When one side ends, the other sees the end, after all bytes."""

    async def script(connection: RawConnection) -> None:
        await connection.write(b"bye" + await connection.read_to_end())

    async with RawServer(script) as server, FaultProxy(server.url) as proxy:
        async with await dial(proxy) as tcp:
            await tcp.send(b"!")
            await tcp.send_eof()
            assert await read(tcp, 4) == b"bye!"
            with pytest.raises(anyio.EndOfStream):
                await tcp.receive()


async def test_latency_delays_each_direction() -> None:
    """A round trip takes twice the latency, however many bytes are under way."""
    async with RawServer(echo_bytes) as server, FaultProxy(server.url) as proxy:
        async with await dial(proxy) as tcp:
            proxy.latency = 0.1
            began = time.monotonic()
            for _ in range(5):
                await tcp.send(b"x")
            await read(tcp, 5)
            assert 0.2 <= time.monotonic() - began < 0.6


async def test_bandwidth_limits_each_direction() -> None:
    """2000 bytes at 10 000 a second take a fifth of a second there, and as much back."""
    async with RawServer(echo_bytes) as server, FaultProxy(server.url) as proxy:
        async with await dial(proxy) as tcp:
            proxy.bandwidth = 10_000
            began = time.monotonic()
            await tcp.send(b"x" * 2000)
            await read(tcp, 2000)
            assert 0.2 <= time.monotonic() - began < 1.0


async def test_each_direction_has_faults_of_its_own() -> None:
    """What is slow or narrow in one direction is neither in the other."""
    async with RawServer(echo_bytes) as server, FaultProxy(server.url) as proxy:
        async with await dial(proxy) as tcp:
            proxy.to_client.latency = 0.3
            began = time.monotonic()
            await tcp.send(b"x")
            await read(tcp, 1)
            assert 0.3 <= time.monotonic() - began < 0.6
            assert (proxy.latency, proxy.to_server.latency) == (0.3, 0.0)
            proxy.latency = 0.0
            assert proxy.to_client.latency == 0.0
            proxy.to_server.bandwidth = 10_000
            began = time.monotonic()
            await tcp.send(b"x" * 3000)
            await read(tcp, 3000)
            assert 0.3 <= time.monotonic() - began < 0.6
            assert (proxy.bandwidth, proxy.to_client.bandwidth) == (10_000, None)


async def test_a_line_can_be_dead_in_one_direction() -> None:
    """The server still hears its client and the client hears nothing, until the thaw."""
    heard: queue.Queue[bytes] = queue.Queue()

    async def script(connection: RawConnection) -> None:
        heard.put(await connection.read(1))
        await connection.write(b"y")
        await connection.read_to_end()

    async with RawServer(script) as server, FaultProxy(server.url) as proxy:
        async with await dial(proxy) as tcp:
            await proxy.wait_for_connections(1)
            await proxy.freeze("to_client")
            await tcp.send(b"x")
            assert await anyio.to_thread.run_sync(heard.get, True, 10) == b"x"
            with anyio.move_on_after(0.1) as scope:
                await tcp.receive()
            assert scope.cancelled_caught
            await proxy.thaw("to_client")
            assert await read(tcp, 1) == b"y"


async def test_a_drop_ends_both_sides_without_a_reset() -> None:
    """A dropped connection ends for client and server, frozen or not; new ones are welcome."""
    ended: queue.Queue[bytes] = queue.Queue()

    async def script(connection: RawConnection) -> None:
        ended.put(await connection.read_to_end())

    async with RawServer(script) as server, FaultProxy(server.url) as proxy:
        for frozen in (False, True):
            async with await dial(proxy) as tcp:
                await proxy.wait_for_connections(1)
                if frozen:
                    await proxy.freeze()
                await proxy.drop()
                with pytest.raises(anyio.EndOfStream):
                    await tcp.receive()
                assert await anyio.to_thread.run_sync(ended.get, True, 10) == b""
            await proxy.wait_for_connections(0)
        assert proxy.accepted == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:80", "ws://", ""])
def test_a_proxy_for_no_server(url: str) -> None:
    """A proxy says at once that its URL is no server's."""
    with pytest.raises(ValueError, match="ws://"):
        FaultProxy(url)


def test_faults_that_cannot_be() -> None:
    """A wrong fault is told where it is set, and changes nothing."""
    proxy = FaultProxy("ws://127.0.0.1:1")
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="latency"):
            proxy.latency = wrong
    for wrong in (-1, 0, float("nan")):
        with pytest.raises(ValueError, match="bandwidth"):
            proxy.bandwidth = wrong
    with pytest.raises(ValueError, match="cut"):
        proxy.cut_after(bytes=-1)
    with pytest.raises(ValueError, match="to_server"):
        proxy.cut_after(bytes=1, direction="up")  # type: ignore[arg-type]
    assert (proxy.latency, proxy.bandwidth) == (0.0, None)


async def test_a_reset_reaches_both_sides() -> None:
    """A reset is an error at the client; new connections are welcome."""
    async with RawServer(echo_bytes) as server, FaultProxy(server.url) as proxy:
        async with await dial(proxy) as tcp:
            await tcp.send(b"x")
            await read(tcp, 1)
            await proxy.reset()
            with pytest.raises(anyio.BrokenResourceError):
                await tcp.receive()
        async with await dial(proxy) as tcp:
            await tcp.send(b"y")
            assert await read(tcp, 1) == b"y"


async def test_frozen_bytes_come_after_the_thaw() -> None:
    """While frozen nothing passes and nothing closes; afterwards nothing is missing."""
    async with RawServer(echo_bytes) as server, FaultProxy(server.url) as proxy:
        async with await dial(proxy) as tcp:
            await tcp.send(b"a")
            await read(tcp, 1)
            await proxy.freeze()
            await tcp.send(b"b")
            with anyio.move_on_after(0.1) as scope:
                await tcp.receive()
            assert scope.cancelled_caught
            await proxy.thaw()
            assert await read(tcp, 1) == b"b"


async def test_a_frozen_line_takes_no_more_bytes_than_buffers_hold() -> None:
    """A client that goes on sending into a frozen line is blocked in the end."""
    async with RawServer(swallow) as server, FaultProxy(server.url) as proxy:
        async with await dial(proxy) as tcp:
            await proxy.freeze()
            with anyio.move_on_after(2) as scope:
                for _ in range(1000):
                    await tcp.send(b"x" * 2**17)
                    scope.deadline = anyio.current_time() + 0.2
            assert scope.cancelled_caught


async def test_a_frozen_connection_can_be_reset() -> None:
    """A reset gets through although nothing else does."""
    async with RawServer(echo_bytes) as server, FaultProxy(server.url) as proxy:
        async with await dial(proxy) as tcp:
            await tcp.send(b"a")
            await read(tcp, 1)
            await proxy.freeze()
            await proxy.reset()
            with pytest.raises(anyio.BrokenResourceError):
                await tcp.receive()


async def read_to_end(tcp: SocketStream) -> bytes:
    """Read until the stream ends or breaks."""
    data = b""
    try:
        while True:
            data += await tcp.receive()
    except anyio.EndOfStream:
        return data


async def test_answers_are_cut_after_so_many_bytes() -> None:
    """The client gets exactly as many bytes as were allowed, then the stream ends, once."""
    async with RawServer(echo_bytes) as server, FaultProxy(server.url) as proxy:
        async with await dial(proxy) as tcp:
            proxy.cut_after(bytes=3)
            await tcp.send(b"12345")
            assert await read_to_end(tcp) == b"123"
        async with await dial(proxy) as tcp:
            await tcp.send(b"whole again")
            assert await read(tcp, 11) == b"whole again"


async def test_what_is_sent_is_cut_after_so_many_bytes() -> None:
    """The server gets exactly as many bytes as were allowed, and the client a reset."""
    arrived: queue.Queue[bytes] = queue.Queue()

    async def script(connection: RawConnection) -> None:
        arrived.put(await connection.read_to_end())
        await connection.write(b"never read")

    async with RawServer(script) as server, FaultProxy(server.url) as proxy:
        async with await dial(proxy) as tcp:
            proxy.cut_after(bytes=3, direction="to_server")
            await tcp.send(b"12345")
            with pytest.raises(anyio.BrokenResourceError):
                await tcp.receive()
        assert await anyio.to_thread.run_sync(arrived.get, True, 10) == b"123"


async def test_new_connections_are_refused_on_demand() -> None:
    """With `refuse` a connection is reset at once, and counted by nobody."""
    async with RawServer(echo_bytes) as server, FaultProxy(server.url) as proxy:
        proxy.refuse = True
        with pytest.raises((anyio.BrokenResourceError, OSError)):
            async with await dial(proxy) as tcp:
                await tcp.receive()
        assert (proxy.accepted, server.accepted) == (0, 0)


async def test_a_dead_server_behind_the_proxy_resets() -> None:
    """A proxy whose server is gone resets its clients."""
    async with RawServer(echo_bytes) as server, FaultProxy(server.url) as proxy:
        await server.stop()
        # The reset may come before the client has looked at its connection.
        with pytest.raises((anyio.BrokenResourceError, OSError)):
            async with await dial(proxy) as tcp:
                await tcp.receive()


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": False})], ids=["asyncio"])
async def test_the_url_leads_through_the_proxy_to_the_same_path() -> None:
    """The proxy's address has the scheme and path of the server's; TLS passes through."""
    async with MockServer(ssl=True) as server, FaultProxy(server.url + "/a?b=c") as proxy:
        async with connect(proxy.url, ssl=server.client_ssl_context) as client:
            await client.send("hello")
            assert await client.recv() == "hello"
        assert server.requests[0].path == "/a?b=c"
        assert proxy.accepted == 1
