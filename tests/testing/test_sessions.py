from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.protocol import State

from wsfleet.testing import MockConnection, MockServer, MockSession

pytestmark = pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"use_uvloop": False})], ids=["asyncio"]
)


class Counter(MockSession):
    """Counts what its own client says, and hangs up after the third message."""

    count = 0

    def on_open(self) -> None:
        self.connection.send({"path": self.connection.handshake.path})

    def on_message(self, message: str | bytes) -> str | None:
        self.count += 1
        if self.count == 3:
            self.connection.close(1008, "enough")
            return None
        return str(self.count)


async def test_each_connection_has_a_session_of_its_own() -> None:
    """What one client said is nothing to another."""
    async with (
        MockServer(session=Counter) as server,
        connect(server.url + "/one") as one,
        connect(server.url + "/two") as two,
    ):
        assert [await one.recv(), await two.recv()] == ['{"path": "/one"}', '{"path": "/two"}']
        await one.send("a")
        await one.send("b")
        await two.send("c")
        assert [await one.recv(), await one.recv(), await two.recv()] == ["1", "2", "1"]
        assert server.received.count("c") == 1


async def test_a_session_closes_its_connection_when_it_likes() -> None:
    """The client gets the session's close code and reason, after what was sent before."""
    async with MockServer(session=Counter) as server, connect(server.url) as client:
        await client.recv()
        for _ in range(3):
            await client.send("x")
        assert [await client.recv(), await client.recv()] == ["1", "2"]
        with pytest.raises(ConnectionClosed) as caught:
            await client.recv()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1008, "enough")


async def test_a_session_can_reset_its_connection() -> None:
    """A session can break the connection as a dying server does: without a close frame."""

    class Rude(MockSession):
        def on_message(self, message: str | bytes) -> None:
            self.connection.reset()

    async with MockServer(session=Rude) as server, connect(server.url) as client:
        await client.send("x")
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
        assert caught.value.rcvd is None


async def test_a_session_learns_that_its_connection_is_gone() -> None:
    """`on_close` runs for every connection, whoever ended it and however."""
    gone: list[str] = []

    class Watcher(MockSession):
        def on_close(self) -> None:
            gone.append(self.connection.handshake.path)

    async with MockServer(session=Watcher) as server:
        async with connect(server.url + "/polite"):
            pass
        await server.wait_until(lambda: gone == ["/polite"])
        async with connect(server.url + "/reset"):
            await server.simulate_disconnect("reset")
            await server.wait_until(lambda: gone == ["/polite", "/reset"])
        async with connect(server.url + "/stopped"):
            await server.stop()
        assert gone == ["/polite", "/reset", "/stopped"]


async def test_a_frozen_session_says_nothing_and_closes_nothing() -> None:
    """After a freeze even a session that sends and closes on its own is silent."""
    sessions: list[MockSession] = []

    def session(connection: MockConnection) -> MockSession:
        sessions.append(MockSession(connection))
        return sessions[-1]

    def speak() -> bool:
        sessions[0].connection.send("hello")
        sessions[0].connection.close()
        return True

    async with (
        MockServer(session=session) as server,
        connect(server.url, close_timeout=0.05) as client,
    ):
        await server.simulate_disconnect("freeze")
        await server.wait_until(speak)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.recv(), 0.1)
        assert client.state is State.OPEN
        assert server.connections == 1


async def test_an_async_session_answers_in_order() -> None:
    """A session may take its time for one message; the next one waits."""

    class Slow(MockSession):
        async def on_message(self, message: str | bytes) -> str | bytes:
            await asyncio.sleep(0.02 if message == "1" else 0)
            return message

    async with MockServer(session=Slow) as server, connect(server.url) as client:
        await client.send("1")
        await client.send("2")
        assert [await client.recv(), await client.recv()] == ["1", "2"]


@pytest.mark.parametrize("where", ["__init__", "on_open", "on_message", "on_close"])
async def test_a_session_that_raises_fails_the_test(where: str) -> None:
    """What a session raises, wherever, is raised at the end of the server's block."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    broken = type("Broken", (MockSession,), {where: fail})
    with pytest.raises(ZeroDivisionError):
        async with MockServer(session=broken) as server:
            try:
                async with connect(server.url) as client:
                    await client.send("x")
            except (ConnectionClosed, InvalidStatus):
                assert where != "on_close"
            await server.wait_for_connections(0)


async def test_a_handler_and_a_session_are_one_too_many() -> None:
    """A server has a handler or sessions, and says so before it starts."""
    with pytest.raises(TypeError, match="not both"):
        MockServer(lambda message: message, session=MockSession)


async def test_no_more_connections_than_allowed() -> None:
    """Beyond `max_connections` a handshake is refused with 429; one that leaves makes room."""
    async with MockServer(max_connections=1) as server:
        async with connect(server.url):
            with pytest.raises(InvalidStatus) as caught:
                await connect(server.url).__aenter__()
            assert caught.value.response.status_code == 429
            assert (server.connections, server.refused) == (1, 1)
        await server.wait_for_connections(0)
        async with connect(server.url):
            assert server.accepted == 2


async def test_waiting_for_anything_that_depends_on_the_server() -> None:
    """`wait_until` ends with the message that makes its condition true, or in time."""
    async with MockServer() as server, connect(server.url) as client:
        with pytest.raises(TimeoutError):
            await server.wait_until(lambda: len(server.received) == 2, timeout=0.01)
        await client.send("1")
        await client.send("2")
        await server.wait_until(lambda: len(server.received) == 2)


async def test_waiting_for_what_an_answer_changes() -> None:
    """`wait_until` also ends with what a handler does after it has waited for something."""
    done: list[str | bytes] = []

    async def slow(message: str | bytes) -> None:
        await asyncio.sleep(0.02)
        done.append(message)

    async with MockServer(slow) as server, connect(server.url) as client:
        await client.send("x")
        await server.wait_until(lambda: done)
