"""Backpressure: what a consumer that does not keep up means for answers and for memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.venue import FakeVenue
from wsfleet import (
    ChildSpec,
    Client,
    ClientSupervisor,
    Gap,
    JsonRpcHeartbeat,
    connect,
)
from wsfleet._client.inbox import OVERHEAD
from wsfleet.errors import (
    BackpressureError,
    ConnectTimeoutError,
    InboxOverflowError,
    SendError,
)
from wsfleet.venues import Ack, Venue

if TYPE_CHECKING:
    from tests.unit.fakes import FakeLink, FakeNetwork
    from wsfleet._client.venue import Batch

URL = "ws://fake/"
SIZE = 1000 - OVERHEAD
"""Bytes of a message that takes 1000 of the inbox."""


def text(number: int) -> str:
    """Return a message of `SIZE` bytes that is no JSON."""
    return f"{number:0{SIZE - 1}}x"


def send(link: FakeLink, numbers: range) -> None:
    """Let messages arrive, each of which takes 1000 bytes of the inbox."""
    for number in numbers:
        link.send(text(number))


def numbers_of(events: list[Any]) -> list[int]:
    """Return the numbers of these messages."""
    return [int(event.data[:-1]) for event in events]


async def take(client: Client, events: Any) -> list[Any]:
    """Take all that is there."""
    return [await anext(events) for _ in range(len(client.inbox))]


@pytest.mark.parametrize("how", ["loop", "handler"])
async def test_a_request_for_each_event_is_answered(network: FakeNetwork, how: str) -> None:
    """
    A loop, or an async handler, that asks for something at each event gets each answer, though
    more events than the inbox holds come before it; all events are delivered in order.
    """
    server = network.server()
    ticks = iter(range(10_000))

    def answer(request: dict[str, Any]) -> int:
        for _ in range(5):
            server.link.send({"tick": next(ticks)})
        return int(request["id"])

    server.answer = answer
    seen, answered = list[int](), 0

    async def ask(event: Any) -> None:
        nonlocal answered
        seen.append(event.data["tick"])
        await holder[0].request("m", timeout=1.0)
        answered += 1
        if answered == 200:
            done.set()

    done, holder = anyio.Event(), list[Client]()
    handler = ask if how == "handler" else None
    async with connect(
        URL, opener=network, inbox_size=4, handler=handler, on_connect=holder.append
    ) as client:
        server.link.send({"tick": next(ticks)})
        with anyio.fail_after(10):
            if how == "loop":
                async for event in client:
                    await ask(event)
                    if done.is_set():
                        break
            await done.wait()

    assert seen[:200] == list(range(200))


async def test_reading_goes_on_only_while_an_answer_is_awaited(network: FakeNetwork) -> None:
    """
    A full inbox pauses reading; a request lets it go on; once it is answered, the next event
    pauses it again.
    """
    async with (
        connect(URL, opener=network, inbox_size=4) as client,
        anyio.create_task_group() as t,
    ):
        events = aiter(client)
        link = network.server().link
        send(link, range(10))
        assert link.reading_paused
        assert len(client.inbox) == 5
        metrics = client.get_state_metrics()
        assert metrics is not None
        assert metrics.reading_paused

        t.start_soon(client.request, "m")
        await anyio.sleep(1)
        assert not link.reading_paused
        send(link, range(10, 20))
        assert len(client.inbox) == 20
        network.server().answer_all("late")
        send(link, range(20, 30))
        assert link.reading_paused
        assert len(client.inbox) == 21

        got = [await anext(events) for _ in range(30)]
        assert numbers_of(got) == list(range(30))
        assert not link.reading_paused


@pytest.mark.parametrize("ending", ["cancel", "timeout"])
async def test_a_request_that_is_given_up_lets_reading_pause(
    network: FakeNetwork, ending: str
) -> None:
    """A request that nobody awaits any more is no reason to read on."""
    async with connect(URL, opener=network, inbox_size=4) as client:
        events = aiter(client)
        with anyio.move_on_after(1.0 if ending == "cancel" else 10.0):
            with pytest.raises(SendError):
                await client.request("m", timeout=2.0)
        send(network.server().link, range(10))
        assert network.server().link.reading_paused
        assert len(await take(client, events)) == 5


async def test_beyond_its_bytes_the_pending_requests_fail_at_once(network: FakeNetwork) -> None:
    """
    When the events before an answer fill `inbox_bytes`, reading pauses and those who wait are
    told why; what is asked after that is not sent, until half was taken.
    """
    errors: list[BackpressureError] = []

    async def ask(client: Client) -> None:
        with pytest.raises(BackpressureError) as caught:
            await client.request("m", timeout=1000.0)
        errors.append(caught.value)

    async with (
        connect(URL, opener=network, name="c", inbox_size=4, inbox_bytes=10_000) as client,
        anyio.create_task_group() as tasks,
    ):
        events = aiter(client)
        link = network.server().link
        for _ in range(3):
            tasks.start_soon(ask, client)
        await anyio.sleep(1)
        send(link, range(10))
        assert not link.reading_paused
        before = anyio.current_time()
        send(link, range(10, 12))
        assert link.reading_paused
        assert len(client.inbox) == 11
        await anyio.sleep(0.1)
        assert anyio.current_time() - before < 1.0
        assert [error.sent for error in errors] == [None] * 3
        assert "inbox is full (10000 bytes" in str(errors[0])
        assert client.pending == 0

        sent = len(link.texts)
        for _ in range(5):
            with pytest.raises(BackpressureError) as caught:
                await client.request("m")
            assert caught.value.sent is False
            with pytest.raises(BackpressureError) as caught:
                await client.subscribe("a")
            assert caught.value.sent is False
            await anext(events)
        assert len(link.texts) == sent
        assert client.get_subscriptions() == {}

        await anext(events)
        network.server().answer = lambda _: "answer"
        assert await client.request("m") == "answer"
        assert numbers_of(await take(client, events)) == list(range(6, 12))


def ack_by_message(batch: Batch, message: Any) -> Ack | None:
    """Read the acknowledgement of a venue whose answers have no id."""
    if isinstance(message, dict) and message.get("ack") in batch.channels:
        return Ack(confirmed=frozenset({message["ack"]}))
    return None


@pytest.mark.parametrize("by_id", [True, False])
async def test_a_subscription_is_a_request_like_others(
    network: FakeNetwork, by_id: bool
) -> None:
    """What a user subscribes reads on as a request does, and fails as one does."""
    profile = Venue(by_id=by_id) if by_id else Venue(by_id=False, read_ack=ack_by_message)
    async with (
        connect(URL, opener=network, venue=profile, inbox_size=4, inbox_bytes=20_000) as client,
        anyio.create_task_group() as tasks,
    ):
        events = aiter(client)
        link = network.server().link
        send(link, range(6))
        assert link.reading_paused
        tasks.start_soon(client.subscribe, "a")
        await anyio.sleep(1)
        assert not link.reading_paused
        send(link, range(6, 10))
        if by_id:
            network.server().answer_all(["a"])
        else:
            link.send({"ack": "a"})
        await anyio.sleep(1)
        assert client.get_subscriptions() == {"a": "confirmed"}

        failed: list[Any] = []

        async def subscribe() -> None:
            with pytest.raises(BackpressureError) as caught:
                await client.subscribe("b")
            failed.append(caught.value.sent)

        tasks.start_soon(subscribe)
        await anyio.sleep(1)
        send(link, range(10, 40))
        await anyio.sleep(1)
        assert failed == [None]
        assert link.reading_paused
        assert numbers_of(await take(client, events))[:10] == list(range(10))


async def test_what_wsfleet_asks_itself_does_not_fail(network: FakeNetwork) -> None:
    """A heartbeat whose answer cannot be read waits: it goes on when events were taken."""
    venue = FakeVenue(network)
    beat = JsonRpcHeartbeat(interval=10.0, timeout=3.0)
    async with connect(
        URL, opener=network, heartbeat=beat, inbox_size=2, inbox_bytes=5_000
    ) as client:
        events = aiter(client)
        await anyio.sleep(1)
        venue.hold = True
        link = venue.server.link
        test = {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}
        link.send(test)
        await anyio.sleep(1)
        assert venue.methods()[-1] == "public/test"
        send(link, range(5))
        assert not link.reading_paused
        send(link, range(5, 8))
        assert link.reading_paused
        venue.release()
        await anyio.sleep(60)
        for _ in range(8):
            await anext(events)
        await anyio.sleep(1)
        for _ in range(4):
            link.send(test)
            await anyio.sleep(10)
        assert venue.methods().count("public/test") == 5
        assert len(venue.server.links) == 1


async def test_restoring_waits_for_the_consumer(network: FakeNetwork) -> None:
    """
    Events that fill the inbox while channels are restored pause the new connection; it is ready
    as soon as they were taken.
    """
    venue = FakeVenue(network)
    async with connect(
        URL, opener=network, inbox_bytes=5_000, retry_delay=0.0, request_timeout=10.0
    ) as client:
        events = aiter(client)
        await client.subscribe("a")
        venue.hold = True
        venue.server.link.drop()
        await anyio.sleep(1)
        send(venue.server.link, range(8))
        venue.release()
        await anyio.sleep(1)
        assert venue.server.link.reading_paused
        assert client.get_state() == "connecting"
        got = [await anext(events) for _ in range(9)]
        await anyio.sleep(1)
        assert client.get_state() == "connected"
        assert isinstance(got[0], Gap)
        assert numbers_of(got[1:]) == list(range(8))


async def test_restoring_that_nobody_lets_go_on_says_why(network: FakeNetwork) -> None:
    """A consumer that takes nothing makes the attempt fail, and the error names the inbox."""
    venue = FakeVenue(network)
    async with connect(
        URL,
        opener=network,
        inbox_bytes=5_000,
        retry_delay=0.0,
        request_timeout=2.0,
        retry_count=0,
    ) as client:
        events = aiter(client)
        await client.subscribe("a")
        venue.hold = True
        async with anyio.create_task_group() as tasks:

            async def flood() -> None:
                await anyio.sleep(1)
                send(venue.server.link, range(8))

            tasks.start_soon(flood)
            with pytest.raises(ConnectTimeoutError, match="the inbox is full"):
                await client.reconnect()
        with pytest.raises(ConnectTimeoutError):
            async for _ in events:
                pass


@pytest.mark.parametrize("overflow", ["block", "drop_oldest", "drop_newest", "fail"])
async def test_an_inbox_that_nobody_listens_to_is_bounded_by_bytes(
    network: FakeNetwork, overflow: Any
) -> None:
    """Without a listener, the newest events that fit into `inbox_bytes` are kept."""
    async with connect(URL, opener=network, overflow=overflow, inbox_bytes=10_000) as client:
        send(network.server().link, range(100))
        assert not network.server().link.reading_paused
        metrics = client.get_state_metrics()
        assert metrics is not None
        assert (metrics.inbox, metrics.dropped) == (10, 90)
        assert numbers_of(await take(client, aiter(client))) == list(range(90, 100))


@pytest.mark.parametrize(
    ("overflow", "kept"), [("drop_oldest", range(90, 100)), ("drop_newest", range(10))]
)
async def test_events_are_dropped_by_bytes(
    network: FakeNetwork, overflow: Any, kept: range
) -> None:
    """A policy that drops keeps to `inbox_bytes` as to `inbox_size`."""
    async with connect(URL, opener=network, overflow=overflow, inbox_bytes=10_000) as client:
        events = aiter(client)
        send(network.server().link, range(100))
        assert client.inbox.dropped == 90
        assert numbers_of(await take(client, events)) == list(kept)
        send(network.server().link, range(7))
        assert numbers_of(await take(client, events)) == list(range(7))


async def test_the_policy_fail_names_the_bytes(network: FakeNetwork) -> None:
    """A client that is to fail on overflow fails when its bytes are too many, and says so."""
    with pytest.raises(InboxOverflowError, match="full \\(10000 bytes\\)"):
        async with connect(URL, opener=network, overflow="fail", inbox_bytes=10_000) as client:
            events = aiter(client)
            send(network.server().link, range(11))
            while True:
                await anext(events)


async def test_a_full_inbox_by_bytes_blocks(network: FakeNetwork) -> None:
    """With "block", reading pauses at `inbox_bytes` as at `inbox_size`, and nothing is lost."""
    async with connect(URL, opener=network, inbox_bytes=10_000) as client:
        events = aiter(client)
        link = network.server().link
        send(link, range(30))
        assert link.reading_paused
        assert len(client.inbox) == 11
        got = [await anext(events) for _ in range(5)]
        assert link.reading_paused
        got += [await anext(events) for _ in range(25)]
        assert numbers_of(got) == list(range(30))
        assert not link.reading_paused


@pytest.mark.parametrize("overflow", ["block", "drop_oldest", "drop_newest", "fail"])
async def test_an_event_larger_than_the_inbox_is_delivered(
    network: FakeNetwork, overflow: Any
) -> None:
    """One event always finds room in an empty inbox: `max_message_size` bounds it."""
    async with connect(URL, opener=network, overflow=overflow, inbox_bytes=100) as client:
        events = aiter(client)
        for number in range(5):
            send(network.server().link, range(number, number + 1))
            assert numbers_of([await anext(events)]) == [number]


async def test_responses_do_not_count_as_events(network: FakeNetwork) -> None:
    """Large responses between two small events take no room from them."""
    network.server().answer = lambda _: "x" * 50_000
    async with connect(URL, opener=network, inbox_bytes=10_000) as client:
        events = aiter(client)
        for number in range(20):
            network.server().link.send(number)
            await client.request("m")
        assert [event.data for event in await take(client, events)] == list(range(20))
        assert client.inbox.dropped == 0


async def test_empty_messages_are_bounded(network: FakeNetwork) -> None:
    """A peer that sends empty messages before an answer cannot fill the memory with them."""

    async def flood() -> None:
        for _ in range(1000):
            network.server().link.send("")

    async with (
        connect(URL, opener=network, inbox_size=4, inbox_bytes=6400, decode="raw") as client,
        anyio.create_task_group() as tasks,
    ):
        events = aiter(client)
        tasks.start_soon(flood)
        with pytest.raises(BackpressureError):
            await client.request("m")
        assert len(await take(client, events)) == 101


async def test_a_merged_stream_is_bounded_too(network: FakeNetwork) -> None:
    """Each client of a merged stream has its bytes, and a request over a full one goes on."""
    spec = ChildSpec(URL, name="a", inbox_size=4, inbox_bytes=10_000)
    async with ClientSupervisor([spec], opener=network) as pool:
        client, link = pool.list_clients()[0], network.server().link
        events = aiter(pool)
        send(link, range(20))
        assert link.reading_paused
        assert len(client.inbox) == 5
        network.server().answer = lambda _: "answer"
        with pytest.raises(BackpressureError):
            await client.request("m")
        got = [await anext(events) for _ in range(20)]
        assert [source for source, _ in got] == [client] * 20
        assert numbers_of([event for _, event in got]) == list(range(20))
        assert await client.request("m") == "answer"


async def test_a_loop_that_is_left_lets_reading_go_on(network: FakeNetwork) -> None:
    """When nobody listens any more, the inbox keeps what fits, and requests work again."""
    async with connect(URL, opener=network, inbox_size=4, inbox_bytes=5000) as client:
        events = aiter(client)
        link = network.server().link
        link.send(text(0) * 4)
        send(link, range(10))
        assert link.reading_paused
        del events
        assert not link.reading_paused
        network.server().answer = lambda _: "answer"
        assert await client.request("m") == "answer"
        assert numbers_of(await take(client, aiter(client))) == list(range(6, 10))


async def test_events_after_the_end_of_a_connection_are_bounded(network: FakeNetwork) -> None:
    """What a peer still sends while it is waited for its close frame keeps to the bytes."""
    async with connect(URL, opener=network, inbox_bytes=5000, close_timeout=2.0) as client:
        events = aiter(client)
        link = network.server().link
        network.server().silent = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.reconnect)
            await anyio.sleep(0.1)
            send(link, range(100))
            assert len(client.inbox) <= 6
            assert not link.reading_paused
            network.server().silent = False
        assert numbers_of((await take(client, events))[:5]) == list(range(5))


async def test_binary_messages_are_measured_too(network: FakeNetwork) -> None:
    """A message counts the same, text or binary."""
    async with connect(
        URL, opener=network, overflow="drop_newest", inbox_bytes=10_000
    ) as client:
        events = aiter(client)
        for _ in range(20):
            network.server().link.send(b"x" * SIZE)
        assert len(await take(client, events)) == 10
