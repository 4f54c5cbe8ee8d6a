from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.venue import FakeVenue
from wsfleet import ClientSupervisor, Gap, Message, connect
from wsfleet.errors import NotConnectedError

if TYPE_CHECKING:
    from tests.unit.fakes import FakeNetwork

URL = "ws://fake/"


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_gap_comes_before_the_first_message(network: FakeNetwork, kind: str) -> None:
    """
    After a reconnect the handler learns once, and first, what was subscribed, from when to when
    it missed it, and why.
    """
    venue = FakeVenue(network)
    seen: list[Any] = []

    async def take(event: Any) -> None:
        seen.append(event)

    began = datetime.now(UTC)
    async with connect(
        URL,
        opener=network,
        handler=seen.append if kind == "sync" else take,
        retry_delay=0.0,
        on_connect=lambda _: network.server().link.send("first"),
    ) as client:
        await client.subscribe(["a", "b"])
        venue.server.link.close(1012, "restarting")
        await anyio.sleep(1)
        venue.server.link.send("second")
        await anyio.sleep(1)

    assert [type(event) for event in seen] == [Message, Gap, Message, Message]
    gap = seen[1]
    assert gap.channels == ("a", "b")
    assert began <= gap.since <= gap.until <= datetime.now(UTC)
    assert gap.cause == "restarting"


async def test_a_gap_is_told_to_an_iteration(network: FakeNetwork) -> None:
    """One gap for each reconnect, also where nothing is subscribed."""
    async with connect(URL, opener=network, retry_delay=0.0) as client:
        network.server().link.drop()
        await anyio.sleep(1)
        network.server().link.drop()
        await anyio.sleep(1)
        network.server().link.send("now")
        got = [await anext(aiter(client)) for _ in range(3)]

    assert [type(event) for event in got] == [Gap, Gap, Message]
    assert got[0].channels == ()
    assert "reset by the test" in got[0].cause


async def test_a_gap_lasts_until_there_is_a_connection_in_use(network: FakeNetwork) -> None:
    """A connection that is lost while it is prepared prolongs the gap, which is told once."""
    venue = FakeVenue(network)
    seen: list[Any] = []
    async with connect(
        URL, opener=network, handler=seen.append, retry_delay=0.0, request_timeout=2.0
    ) as client:
        await client.subscribe("a")
        venue.mute = {"subscribe"}
        venue.server.link.drop()
        await anyio.sleep(1)
        venue.mute = set()
        await anyio.sleep(10)
        assert client.get_state() == "connected"

    gaps = [event for event in seen if isinstance(event, Gap)]
    assert len(gaps) == 1
    assert gaps[0].channels == ("a",)
    assert gaps[0].cause.endswith("reset by the test")


async def test_a_gap_comes_before_what_comes_while_a_connection_is_prepared(
    network: FakeNetwork,
) -> None:
    """
    Messages over channels that are restored already follow the gap; if that connection is lost
    as well, there is another gap from the first loss on.
    """
    venue = FakeVenue(network)
    seen: list[Any] = []
    async with connect(
        URL, opener=network, handler=seen.append, retry_delay=0.0, request_timeout=2.0
    ) as client:
        await client.subscribe("a")
        venue.mute = {"subscribe"}
        venue.server.link.drop()
        await anyio.sleep(1)
        assert seen == []
        venue.server.link.send("early")
        assert [type(event) for event in seen] == [Gap, Message]
        venue.mute = set()
        await anyio.sleep(10)
        assert client.get_state() == "connected"

    assert [type(event) for event in seen] == [Gap, Message, Gap]
    assert seen[0].since == seen[2].since


@pytest.mark.parametrize("overflow", ["drop_newest", "fail"])
async def test_a_gap_is_never_dropped_for_want_of_room(
    network: FakeNetwork, overflow: Any
) -> None:
    """A full inbox takes a gap all the same, and no client fails for it."""
    async with connect(
        URL, opener=network, retry_delay=0.0, inbox_size=2, overflow=overflow
    ) as client:
        events = aiter(client)
        for n in range(2):
            network.server().link.send(str(n))
        network.server().link.drop()
        await anyio.sleep(1)
        got = [await anext(events) for _ in range(3)]

    assert [type(event) for event in got] == [Message, Message, Gap]


async def test_a_restarted_client_has_a_gap_and_its_channels(network: FakeNetwork) -> None:
    """A client that crashed and was started again goes on where it was."""
    venue = FakeVenue(network)
    seen: list[Any] = []

    def handler(event: Any) -> None:
        seen.append(event)
        if event == Message("boom"):
            raise LookupError

    async with ClientSupervisor(opener=network) as pool:
        client = await pool.start_client(URL, handler=handler)
        await client.subscribe("a")
        venue.server.link.send("boom")
        await anyio.sleep(2)
        assert client.get_subscriptions() == {"a": "confirmed"}

    assert [type(event) for event in seen] == [Message, Gap]
    assert seen[1].channels == ("a",)


async def test_a_client_that_was_closed_begins_anew(network: FakeNetwork) -> None:
    """Run again after close(), a client has no channels, and misses nothing."""
    FakeVenue(network)
    seen: list[Any] = []
    async with connect(URL, opener=network, handler=seen.append) as client:
        await client.subscribe("a")
        await client.close()
        async with anyio.create_task_group() as tasks:
            await tasks.start(client.run)
            assert client.get_subscriptions() == {}
            await client.close()

    assert seen == []


async def test_a_gap_can_be_filled_from_an_async_handler(network: FakeNetwork) -> None:
    """Whoever awaits wait_connected() can ask for what was missed, however early it is told."""
    venue = FakeVenue(network)
    filled: list[Any] = []

    async def handler(event: Any) -> None:
        if isinstance(event, Gap):
            await client.wait_connected()
            filled.append(await client.request("history"))

    async with connect(URL, opener=network, handler=handler, retry_delay=0.0) as client:
        await client.wait_connected()
        await client.subscribe("a")
        venue.hold = True
        venue.server.link.drop()
        await anyio.sleep(1)
        venue.server.link.send("early")
        await anyio.sleep(1)
        assert filled == []
        venue.release()
        await anyio.sleep(1)

    assert filled == ["ok"]
    with pytest.raises(NotConnectedError):
        await client.wait_connected()
