"""
Each async method of a client is cancelled after any number of turns of the event loop: the
cancellation comes out, nothing is left behind, and the client goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.turns import Cut, sweep
from tests.unit.fakes import FakeNetwork
from tests.unit.venue import FakeVenue
from wsfleet import Client, Message, TokenBucket, connect
from wsfleet.testing.virtual_time import all_tasks_blocked
from wsfleet.venues import Grant, Login, Venue

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "ws://fake/"
MEMBERS = Venue(
    login=Login(request=lambda _: {"method": "auth"}, read=lambda _: Grant()),
    calls=[{"method": "hello"}],
    batch_size=1,
)


async def check_usable(client: Client) -> None:
    """Fail unless nothing waits in a client, and it answers a request."""
    await all_tasks_blocked()
    await client.wait_connected()
    assert client._requests.waiting == {}
    assert await client.request("ping") == "ok"
    assert client._requests.waiting == {}
    assert client.pending == 0


def subscribed(venue: FakeVenue) -> set[str]:
    """Return the channels that a venue has, by what it was sent over its connection."""
    channels: set[str] = set()
    for method, params in venue.calls:
        if method == "subscribe":
            channels |= set(params["channels"])
        elif method == "unsubscribe":
            channels -= set(params["channels"])
    return channels


# its life


@pytest.mark.parametrize("profile", [Venue(), MEMBERS], ids=["plain", "login"])
async def test_a_block(profile: Venue) -> None:
    """Entering and leaving `connect`, a login included, leaves no connection open."""

    async def scenario(cut: Cut) -> None:
        network = FakeNetwork()
        venue = FakeVenue(network)
        entered = False

        async def block() -> None:
            nonlocal entered
            async with connect(URL, opener=network, venue=profile) as client:
                entered = True
                assert await client.request("ping") == "ok"

        await cut(block)
        assert cut.cancelled or entered
        assert venue.server.open == []

    await sweep(scenario)


async def test_a_block_whose_server_is_silent() -> None:
    """The same, where the server answers neither a login nor a close frame."""

    async def scenario(cut: Cut) -> None:
        network = FakeNetwork()
        venue = FakeVenue(network)
        venue.mute = {"auth"}

        async def block() -> None:
            with pytest.raises(Exception, match="the login had no answer in time"):
                async with connect(URL, opener=network, venue=MEMBERS, retry_count=1):
                    pass

        await cut(block)
        assert venue.server.open == []

    await sweep(scenario)


async def test_run() -> None:
    """A client whose `run` was cancelled has ended, and can be run again."""

    async def scenario(cut: Cut) -> None:
        network = FakeNetwork()
        venue = FakeVenue(network)
        client = Client(URL, opener=network, venue=MEMBERS, reconnect_on_error=False)

        async def run() -> None:
            async with anyio.create_task_group() as tasks:
                await tasks.start(client.run)
                await anyio.sleep(1)
                venue.server.link.close(1000)

        await cut(run)
        assert venue.server.open == []
        assert not client.life.alive
        async with anyio.create_task_group() as tasks:
            await tasks.start(client.run)
            await check_usable(client)
            await client.close()
        assert venue.server.open == []

    await sweep(scenario)


@pytest.mark.parametrize("silent", [False, True])
async def test_close(silent: bool) -> None:
    """A cancelled `close` has closed all the same."""

    async def scenario(cut: Cut) -> None:
        network = FakeNetwork()
        venue = FakeVenue(network)
        async with connect(URL, opener=network) as client:
            venue.server.silent = silent
            await cut(client.close)
            assert client.get_state() == "disconnected" or not cut.turns
        assert venue.server.open == []
        assert not client.life.alive

    await sweep(scenario)


async def test_reconnect() -> None:
    """A cancelled `reconnect` leaves a client that is connected, or comes back by itself."""

    async def scenario(cut: Cut) -> None:
        network = FakeNetwork()
        venue = FakeVenue(network)
        async with connect(URL, opener=network, venue=MEMBERS) as client:
            await client.subscribe(["a", "b"])
            await cut(client.reconnect)
            await check_usable(client)
            assert client.get_subscriptions() == {"a": "confirmed", "b": "confirmed"}
            assert len(venue.server.open) == 1
        assert venue.server.open == []

    await sweep(scenario)


async def test_wait_connected() -> None:
    """A cancelled wait changes nothing."""

    async def scenario(cut: Cut) -> None:
        network = FakeNetwork()
        venue = FakeVenue(network)
        async with connect(URL, opener=network) as client:
            venue.server.link.drop()
            await all_tasks_blocked()
            await cut(client.wait_connected)
            await check_usable(client)
            assert client.life.generation == 2

    await sweep(scenario)


# sending


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "message",
    ["text", b"binary", {"method": "note"}, {"id": "mine", "method": "m"}],
    ids=["text", "binary", "mapping", "request"],
)
async def test_send_message(message: Any, full: bool) -> None:
    """A cancelled message was sent whole, once, and counted, or not at all."""

    async def scenario(cut: Cut) -> None:
        network = FakeNetwork()
        venue = FakeVenue(network)
        venue.mute = {"note"}
        async with connect(URL, opener=network, compression=None) as client:
            link = venue.server.link
            if full:
                link.fill()

            await cut(lambda: client.send_message(message), lambda: drain_later(link))
            link.drain()
            seen = [frame for frame in link.received if frame[0] in {1, 2}]
            assert len(seen) <= 1
            assert client._sender.sent == len(seen)
            assert seen or cut.cancelled
            await check_usable(client)
            assert len([frame for frame in link.received if frame[0] in {1, 2}]) == (
                len(seen) + 1
            )

    await sweep(scenario)


async def drain_later(link: Any) -> None:
    """Let a link have room again in a while."""
    await anyio.sleep(1)
    link.drain()


@pytest.mark.parametrize("answer", ["at once", "late"])
@pytest.mark.parametrize("limited", [False, True])
async def test_request(answer: str, limited: bool) -> None:
    """
    A cancelled request was made once or not at all, nothing awaits its answer, and what the
    limiter gave is gone only for what was sent.
    """

    async def scenario(cut: Cut) -> None:
        network = FakeNetwork()
        venue = FakeVenue(network)
        venue.hold = answer == "late"
        limiter = TokenBucket(1, 1)
        async with connect(
            URL,
            opener=network,
            limiter=limiter if limited else None,
            limiter_timeout=10.0,
            handler=lambda _: None,
        ) as client:
            if limited:
                await client.send_message("takes what there is")
            sent = client._sender.sent

            result = await cut(lambda: client.request("m"), lambda: release_later(venue))
            assert cut.cancelled or result == "ok"
            assert venue.methods().count("m") == client._sender.sent - sent
            assert venue.methods().count("m") <= 1
            assert client._requests.waiting == {}
            assert limiter.status().waiting == 0
            venue.release()
            await check_usable(client)

    await sweep(scenario)


async def release_later(venue: FakeVenue) -> None:
    """Let a venue answer in a while."""
    await anyio.sleep(3)
    venue.release()


# subscribing


@pytest.mark.parametrize("hold", [False, True])
async def test_subscribe(hold: bool) -> None:
    """
    What a cancelled `subscribe` asked for is undone at the venue; a channel that another call
    holds stays.
    """

    async def scenario(cut: Cut) -> None:
        network = FakeNetwork()
        venue = FakeVenue(network)
        async with connect(URL, opener=network, venue=Venue(batch_size=1)) as client:
            await client.subscribe("kept")
            venue.hold = hold
            names = ["kept", "a", "b"]
            await cut(lambda: client.subscribe(names), lambda: release_later(venue))
            venue.release()
            await all_tasks_blocked()
            wanted = {"kept"} if cut.cancelled else {"kept", "a", "b"}
            assert client.get_subscriptions() == dict.fromkeys(wanted, "confirmed")
            assert subscribed(venue) == wanted
            await client.subscribe("a")
            assert client.get_subscriptions()["a"] == "confirmed"
            await check_usable(client)

    await sweep(scenario)


@pytest.mark.parametrize("hold", [False, True])
async def test_unsubscribe(hold: bool) -> None:
    """After a cancelled `unsubscribe` the client says of each channel what the venue says."""

    async def scenario(cut: Cut) -> None:
        network = FakeNetwork()
        venue = FakeVenue(network)
        async with connect(URL, opener=network, venue=Venue(batch_size=1)) as client:
            await client.subscribe(["a", "b", "kept"])
            venue.hold = hold
            names = ["a", "b"]
            await cut(lambda: client.unsubscribe(names), lambda: release_later(venue))
            venue.release()
            await all_tasks_blocked()
            held = client.get_subscriptions()
            assert set(held.values()) == {"confirmed"}
            assert set(held) == subscribed(venue)
            assert cut.cancelled or set(held) == {"kept"}
            await client.unsubscribe(list(held))
            assert subscribed(venue) == set()
            await check_usable(client)

    await sweep(scenario)


# receiving


async def test_iteration() -> None:
    """A cancelled iteration loses no event, and takes none twice."""

    async def scenario(cut: Cut) -> None:
        network = FakeNetwork()
        venue = FakeVenue(network)
        async with connect(URL, opener=network) as client:
            listener = aiter(client)
            got: list[Any] = []

            async def listen() -> None:
                async for event in listener:
                    got.append(event)
                    if len(got) == 3:
                        return

            await cut(listen, lambda: push(venue))
            if cut.cancelled:
                venue.server.link.send("last")
                while got[-1:] != [Message("last")]:
                    got.append(await anext(listener))
                got.pop()
            numbers = [event.data for event in got]
            assert numbers == list(range(len(numbers)))

    await sweep(scenario)


async def push(venue: FakeVenue) -> None:
    """Let three messages arrive, one after the other."""
    for n in range(3):
        venue.server.link.send(n)
        await anyio.sleep(1)


# limiting


@pytest.mark.parametrize("make", [lambda: TokenBucket(2, 1)])
async def test_acquire(make: Callable[[], TokenBucket]) -> None:
    """A cancelled `acquire` takes nothing, and lets those behind it pass."""

    async def scenario(cut: Cut) -> None:
        limiter = make()
        await limiter.acquire("m")
        await limiter.acquire("m")
        passed: list[str] = []

        async def after_it() -> None:
            await anyio.sleep(0.5)
            await limiter.acquire("m")
            passed.append("second")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(after_it)
            began = anyio.current_time()
            await cut(lambda: limiter.acquire("m"))
        took = anyio.current_time() - began
        assert passed == ["second"]
        assert took == pytest.approx(1.0 if cut.cancelled else 2.0)
        assert limiter.status().waiting == 0

    await sweep(scenario)
