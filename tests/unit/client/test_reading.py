"""What a consumer that does not keep up means for connections, logins and heartbeats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from tests.unit.venue import FakeVenue
from wsfleet import Gap, JsonRpcHeartbeat, Message, connect
from wsfleet.venues import Venue

if TYPE_CHECKING:
    from tests.unit.fakes import FakeNetwork

URL = "ws://fake/"


async def test_a_full_inbox_pauses_the_next_connection_too(network: FakeNetwork) -> None:
    """
    With "block" a reconnect is no way around a full inbox: the new connection is read when
    there is room, and nothing is lost.
    """
    async with connect(URL, opener=network, inbox_size=4, retry_delay=0.0) as client:
        events = aiter(client)
        for n in range(6):
            network.server().link.send(n)
        assert len(client.inbox) == 5
        network.server().link.drop()
        await anyio.sleep(1)
        assert client.get_state() == "connected"
        for n in range(100):
            network.server().link.send(100 + n)
        assert network.server().link.reading_paused
        assert len(client.inbox) == 6  # the gap is on top
        got: list[Any] = [await anext(events) for _ in range(106)]

    assert got[:5] == [Message(n) for n in range(5)]
    assert isinstance(got[5], Gap)
    assert got[6:] == [Message(100 + n) for n in range(100)]


async def test_a_session_is_prepared_though_the_inbox_is_full(network: FakeNetwork) -> None:
    """
    A consumer that waits for the connection cannot hold up what the connection waits for: the
    answers to logins and subscriptions are read however full the inbox is.
    """
    venue = FakeVenue(network)
    profile = Venue(calls=({"jsonrpc": "2.0", "method": "hello"},))
    async with connect(
        URL, opener=network, venue=profile, inbox_size=2, retry_delay=0.0, request_timeout=2.0
    ) as client:
        events = aiter(client)
        await client.subscribe("a")
        for n in range(3):
            venue.server.link.send(n)
        venue.server.link.drop()
        await anyio.sleep(1)
        assert client.get_state() == "connected"
        assert len(venue.server.links) == 2
        assert venue.server.link.reading_paused
        assert isinstance([await anext(events) for _ in range(4)][3], Gap)
        assert not venue.server.link.reading_paused


async def test_a_gap_does_not_pause_a_login(network: FakeNetwork) -> None:
    """An inbox that is just full, and gets a gap, does not keep the client from its login."""
    venue = FakeVenue(network)
    profile = Venue(calls=({"jsonrpc": "2.0", "method": "hello"},))
    async with connect(
        URL, opener=network, venue=profile, inbox_size=2, retry_delay=0.0, request_timeout=2.0
    ) as client:
        events = aiter(client)
        for n in range(2):
            venue.server.link.send(n)
        venue.hold = True
        venue.server.link.drop()
        await anyio.sleep(1)
        venue.server.link.send("early")
        venue.release()
        await anyio.sleep(0.1)
        assert client.get_state() == "connected"
        assert len([await anext(events) for _ in range(4)]) == 4


async def test_an_answer_that_was_not_read_is_not_missing(network: FakeNetwork) -> None:
    """A consumer that lets the inbox fill does not make the answers to a heartbeat late."""
    venue = FakeVenue(network)
    beat = JsonRpcHeartbeat(interval=10.0, timeout=3.0)
    async with connect(URL, opener=network, heartbeat=beat, inbox_bytes=100) as client:
        events = aiter(client)
        await anyio.sleep(1)
        venue.hold = True
        link = venue.server.link
        link.send({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}})
        await anyio.sleep(1)
        assert venue.methods()[-1] == "public/test"
        for n in range(3):
            link.send(n)
        assert link.reading_paused
        venue.release()
        await anyio.sleep(60)
        for _ in range(3):
            await anext(events)
        await anyio.sleep(1)
        assert len(venue.server.links) == 1


async def test_a_full_inbox_does_not_hold_up_a_goodbye(network: FakeNetwork) -> None:
    """A connection that is being closed is read to its end, however much still comes."""
    async with connect(URL, opener=network, inbox_size=2) as client:
        events = aiter(client)
        link = network.server().link
        network.server().silent = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.reconnect)
            await anyio.sleep(0.1)
            assert link.goodbye is not None
            for n in range(4):
                link.send(n)
            assert client.inbox.paused
            assert not link.reading_paused
            network.server().silent = False
        assert network.server().link.reading_paused
        assert await anext(events) == Message(0)
