"""What may happen to a client while its session is prepared, and what many of them leave."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.venue import FakeVenue
from wsfleet import ClientSupervisor, Message, TokenBucket, connect, venues
from wsfleet.errors import NotConnectedError
from wsfleet.venues import Venue

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.unit.fakes import FakeNetwork

URL = "ws://fake/"
TOKEN = {"access_token": "access", "refresh_token": "refresh", "expires_in": 900.0}
DERIBIT = replace(
    venues.deribit(client_id="id", client_secret="hush", session="bot"), limiter=None
)
HELLO = Venue(calls=({"jsonrpc": "2.0", "method": "hello"},))


@pytest.fixture
def venue(network: FakeNetwork) -> FakeVenue:
    """Return a venue that grants logins."""
    venue = FakeVenue(network)
    venue.results["public/auth"] = TOKEN
    return venue


async def test_hundreds_of_reconnects_leave_nothing(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """However often a client reconnects, it holds what it held after the first time."""

    async def reconnect_often(times: int) -> None:
        for _ in range(times):
            await client.reconnect()

    def held() -> tuple[int, ...]:
        gc.collect()
        found = [type(thing).__name__ for thing in gc.get_objects()]
        kinds = ("Session", "Dialogue", "Pulse", "Connection", "CancelScope", "Task", "Event")
        return tuple(found.count(kind) for kind in kinds)

    async with connect(URL, opener=network, venue=DERIBIT, handler=lambda _: None) as client:
        await client.subscribe(["user.orders", "trades"])
        await reconnect_often(5)
        network.server().links[:-1] = []
        before = held()
        await reconnect_often(300)
        network.server().links[:-1] = []
        grown = [after - first for after, first in zip(held(), before, strict=True)]
        assert max(grown) < 10  # what the moment holds; a leak would have hundreds
        assert client.life.generation == 306
        await anyio.sleep(1)
        assert not client._requests.waiting
        assert len(client._requests) == 0
        assert not client._subscriptions._open
        assert set(client.get_subscriptions().values()) == {"confirmed"}


async def test_a_handler_that_fails_during_the_preparation(
    network: FakeNetwork, venue: FakeVenue, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """What a handler raises before its client is connected ends the client at once."""

    def handler(event: Any) -> None:
        if event == Message("boom"):
            raise LookupError

    async def boom() -> None:
        await anyio.sleep(1)
        venue.server.link.send("boom")

    venue.hold = True
    began = anyio.current_time()
    with pytest.raises(LookupError):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(boom)
            try:
                async with connect(URL, opener=network, venue=HELLO, handler=handler):
                    pytest.fail("it never connected")
            except LookupError as error:
                failure = error
        raise failure
    assert anyio.current_time() - began < 2
    events = [entry["event"] for entry in log_entries]
    assert events == ["client.connecting", "client.crashed"]
    assert venue.server.link.goodbye == (1011, "the client's handler failed")


async def test_a_cancelled_client_leaves_its_preparation(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A block that is cancelled before it began ends at once, with a goodbye to the peer."""
    venue.hold = True
    began = anyio.current_time()
    with anyio.move_on_after(1):
        async with connect(URL, opener=network, venue=DERIBIT):
            pytest.fail("it never connected")
    assert anyio.current_time() - began == pytest.approx(1)
    assert venue.server.link.goodbye is not None


async def test_reconnect_during_a_restore_and_a_loss(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """Whoever waits in reconnect() is told when there is a connection in use, or no client."""
    outcomes: list[str] = []

    async def reconnect() -> None:
        try:
            await client.reconnect()
            outcomes.append("connected")
        except NotConnectedError:
            outcomes.append("closed")

    async with connect(URL, opener=network, venue=HELLO, retry_delay=0.1) as client:
        async with anyio.create_task_group() as tasks:
            venue.hold = True
            venue.server.link.drop()
            await anyio.sleep(1)
            tasks.start_soon(reconnect)
            await anyio.sleep(1)
            venue.server.link.drop()
            await anyio.sleep(1)
            assert outcomes == []
            venue.hold = False
            venue.server.link.drop()
        assert outcomes == ["connected"]
        async with anyio.create_task_group() as tasks:
            venue.hold = True
            venue.server.link.drop()
            await anyio.sleep(1)
            tasks.start_soon(reconnect)
            await anyio.sleep(1)
            await client.close()
        assert outcomes == ["connected", "closed"]


async def test_a_supervised_client_that_crashes_while_it_restores(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A client that was restarted in the middle of a restore gets all its channels back."""

    def handler(event: Any) -> None:
        if event == Message("boom"):
            raise LookupError

    profile = Venue(batch_size=1, pause=1.0)
    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(URL, handler=handler, venue=profile, retry_delay=0.0)
        await client.subscribe(["a", "b", "c"])
        venue.server.link.drop()
        await anyio.sleep(0.5)
        venue.server.link.send("boom")
        await anyio.sleep(20)
        assert client.get_state() == "connected"
        assert client.get_subscriptions() == dict.fromkeys("abc", "confirmed")
        restored = venue.channels()[-3:]
        assert restored == [["a"], ["b"], ["c"]]


async def test_what_must_not_wait_is_counted(network: FakeNetwork, venue: FakeVenue) -> None:
    """
    A heartbeat's call goes out although the limiter has nothing left, and messages wait longer
    for it.
    """
    limiter = TokenBucket(3, 0.01, counts_control=True)
    profile = replace(DERIBIT, login=None)
    async with connect(
        URL, opener=network, venue=profile, heartbeat=None, limiter=limiter
    ) as client:
        for _ in range(2):
            await client.send_message("hello")
        assert limiter.status().available < 0.1  # set_heartbeat was the third
        before = limiter.status().retry_after
        venue.server.link.send({"method": "heartbeat", "params": {"type": "test_request"}})
        await anyio.sleep(0.01)
        assert venue.methods()[-1] == "public/test"
        assert limiter.status().retry_after == pytest.approx(before + 100, abs=1)


async def test_a_connection_that_ends_as_it_gets_ready(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A connection whose last answer comes together with its end never counts as connected."""
    async with connect(URL, opener=network, venue=HELLO, retry_delay=0.0) as client:
        venue.hold = True
        venue.server.link.drop()
        await anyio.sleep(1)
        link = venue.server.link
        venue.release()
        link.close(1013, "try later")
        await anyio.sleep(1)
        assert client.get_state() == "connected"
        assert len(venue.server.links) == 3
        assert client.life.generation == 2
