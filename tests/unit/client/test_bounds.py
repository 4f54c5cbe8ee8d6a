"""What a client holds stays bounded, whatever its server and its user leave open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.client.test_subscriptions import ECHOING
from wsfleet import Gap, JsonRpcHeartbeat, Message, ServerBeat, connect
from wsfleet._client.channels import MOST_REJECTED
from wsfleet._client.subscriptions import MOST_LATE
from wsfleet.errors import RequestTimeoutError, SubscriptionRejectedError
from wsfleet.venues import Venue

if TYPE_CHECKING:
    from tests.unit.fakes import FakeNetwork
    from tests.unit.venue import FakeVenue
    from wsfleet import Client

URL = "ws://fake/"


async def time_out(subscribing: Any) -> None:
    """Await a call that gets no answer."""
    with pytest.raises(RequestTimeoutError):
        await subscribing


@pytest.mark.parametrize("same_name", [True, False])
async def test_subscribes_without_an_answer_leave_a_bounded_number_of_slots(
    network: FakeNetwork, venue: FakeVenue, same_name: bool
) -> None:
    """Thousands of subscribes that time out leave at most the latest ones awaited."""
    venue.mute = {"subscribe"}
    async with connect(URL, opener=network, request_timeout=1.0) as client:
        for n in range(500):
            await time_out(client.subscribe("a" if same_name else f"a{n}"))
        assert len(client._requests.waiting) <= MOST_LATE
        assert client.pending == 0
        assert client.get_subscriptions() == {}


async def test_late_confirmations_are_undone_however_many_were_given_up(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """
    What nobody wants any more is removed at the venue: a late answer brings that about, or the
    place that a later question needs. No late answer reaches the handler.
    """
    seen: list[Any] = []
    venue.hold = True
    total = MOST_LATE + 10
    async with connect(URL, opener=network, request_timeout=1.0, handler=seen.append) as client:
        for n in range(total):
            await time_out(client.subscribe(f"a{n}"))
        dropped = [["a0"], *[[f"a{n}"] for n in range(1, 10)]]
        assert venue.channels("unsubscribe") == dropped
        venue.release()
        await anyio.sleep(1)
        removed = [name for names in venue.channels("unsubscribe") for name in names]
        assert sorted(removed) == sorted(f"a{n}" for n in range(total))
        assert client._requests.waiting == {}
        await client.subscribe("a0")
        assert client.get_subscriptions() == {"a0": "confirmed"}
    assert seen == []


async def test_a_channel_that_is_wanted_again_is_not_removed(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """Giving up an old question takes no channel from who has subscribed since."""
    venue.mute = {"subscribe"}
    async with connect(URL, opener=network, request_timeout=1.0) as client:
        await time_out(client.subscribe("wanted"))
        venue.mute = set()
        await client.subscribe("wanted")
        venue.mute = {"subscribe"}
        for n in range(MOST_LATE + 1):
            await time_out(client.subscribe(f"a{n}"))
        assert client.get_subscriptions() == {"wanted": "confirmed"}
        assert ["wanted"] not in venue.channels("unsubscribe")


async def test_removals_without_an_answer_are_forgotten(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """Unsubscribes that time out keep neither slots nor channels without bound."""
    names = [f"a{n}" for n in range(MOST_LATE * 2)]
    async with connect(URL, opener=network, request_timeout=1.0) as client:
        await client.subscribe(names)
        venue.mute = {"unsubscribe"}
        for name in names:
            await time_out(client.unsubscribe(name))
        assert len(client._requests.waiting) <= MOST_LATE
        assert len(client.get_subscriptions()) <= MOST_LATE
        venue.mute = set()
        await client.subscribe(names[0])
        assert client.get_subscriptions()[names[0]] == "confirmed"


async def test_a_venue_without_ids_that_never_answers(network: FakeNetwork) -> None:
    """A bounded number of questions is held against each message that comes in."""
    seen: list[Any] = []
    async with connect(
        URL, opener=network, venue=ECHOING, request_timeout=1.0, handler=seen.append
    ) as client:
        for n in range(MOST_LATE * 2):
            await time_out(client.subscribe(f"a{n}"))
        assert len(client._subscriptions._open) <= MOST_LATE
        link = network.server().link
        link.send({"event": "subscribe", "arg": f"a{MOST_LATE * 2 - 1}"})
        assert link.texts[-1].startswith('{"op":"unsubscribe"')
        assert seen == []
        link.drop()
        await anyio.sleep(2)
        assert client._subscriptions._open == {}
        assert client._subscriptions._late == {}


async def test_questions_of_a_lost_connection_are_not_kept(network: FakeNetwork) -> None:
    """A question that is open when the connection is lost is not held against the next one."""
    async with connect(URL, opener=network, venue=ECHOING, retry_delay=0.0) as client:
        async with anyio.create_task_group() as tasks:

            async def subscribe() -> None:
                with pytest.raises(Exception, match="reset by the test"):
                    await client.subscribe("a")

            tasks.start_soon(subscribe)
            await anyio.sleep(1)
            network.server().link.drop()
        await anyio.sleep(1)
        assert client._subscriptions._late == client._subscriptions._open == {}


async def test_rejected_names_are_forgotten_in_the_end(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """Names that the venue refuses are shown as rejected, the latest thousand of them."""
    names = [f"x{n}" for n in range(MOST_REJECTED + 500)]
    venue.unknown = {*names, "last"}
    async with connect(URL, opener=network, venue=Venue(batch_size=5000)) as client:
        with pytest.raises(SubscriptionRejectedError) as caught:
            await client.subscribe(names)
        assert len(caught.value.rejected) == len(names)
        assert len(client.get_subscriptions()) == MOST_REJECTED
        with pytest.raises(SubscriptionRejectedError):
            await client.subscribe("last")
        states = client.get_subscriptions()
        assert len(states) == MOST_REJECTED
        assert states["last"] == "rejected"
        venue.unknown = set()
        await client.subscribe(names)
        assert set(client.get_subscriptions().values()) == {"confirmed", "rejected"}


async def test_a_heartbeat_that_survives_its_timeouts_leaves_no_slots(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """Calls of a heartbeat that were not answered in time are not awaited for ever."""
    venue.mute = {"test"}

    class Patient:
        async def run(self, pulse: Any) -> None:
            for _ in range(100):
                with pytest.raises(TimeoutError):
                    await pulse.ask("test", timeout=1.0)
            await anyio.sleep_forever()

    async with connect(URL, opener=network, heartbeat=Patient()) as client:
        await anyio.sleep(200)
        assert client.life.generation == 1
        assert client._requests.waiting == {}
        assert client.pending == 0


async def test_the_slot_of_an_answered_call_is_gone(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """Heartbeats and logins that are answered leave the count of pending requests right."""
    beat = JsonRpcHeartbeat(interval=1.0, timeout=1.0, start="", answer="test")
    async with connect(URL, opener=network, heartbeat=beat) as client:
        for _ in range(10):
            network.server().link.send(
                {"method": "heartbeat", "params": {"type": "test_request"}}
            )
            await anyio.sleep(0.5)
        assert venue.methods().count("test") == 10
        assert client._requests.waiting == {}
        assert client.pending == 0


async def test_a_peer_that_sends_beats_and_never_reads(network: FakeNetwork) -> None:
    """Answers to its beats do not pile up; they go on when it reads again."""
    beat = ServerBeat(expects="beat", timeout=5.0, answer="answer")
    async with connect(URL, opener=network, heartbeat=beat, decode="raw") as client:
        link = network.server().link
        link.fill()
        for _ in range(200):
            link.send("beat")
            await anyio.sleep(1)
        assert link.texts == []
        assert client.life.generation == 1
        link.drain()
        await anyio.sleep(1)
        assert 1 <= link.texts.count("answer") <= 20
        assert client.life.generation == 1


# gaps


async def reconnect(network: FakeNetwork, times: int) -> None:
    """Let the connection be lost and replaced so often."""
    for _ in range(times):
        network.server().link.drop()
        await anyio.sleep(1)


def waiting(client: Client) -> list[type[object]]:
    """Return the kinds of the events that wait to be taken."""
    return [type(event) for event in client.inbox.waiting()]


@pytest.mark.parametrize("overflow", ["block", "drop_oldest", "drop_newest"])
async def test_reconnects_alone_do_not_fill_an_inbox(
    network: FakeNetwork, overflow: Any
) -> None:
    """A client whose events nobody takes holds a bounded number of gaps."""
    async with connect(
        URL, opener=network, retry_delay=0.0, retry_count=None, inbox_size=4, overflow=overflow
    ) as client:
        await reconnect(network, 20)
        assert waiting(client) == [Gap] * 4
        listener = aiter(client)
        await reconnect(network, 20)
        assert waiting(client) == [Gap] * 4
        del listener


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest"])
async def test_gaps_between_messages_stay_bounded(network: FakeNetwork, overflow: Any) -> None:
    """With a slow listener, too; the time of what was missed is not lost with the gap."""
    async with connect(
        URL, opener=network, retry_delay=0.0, retry_count=None, inbox_size=4, overflow=overflow
    ) as client:
        listener = aiter(client)
        for n in range(20):
            network.server().link.send(n)
            await reconnect(network, 1)
        assert len(client.inbox) <= 5
        del listener


async def test_two_gaps_in_a_full_inbox_become_one(network: FakeNetwork) -> None:
    """One gap tells from when to when nothing was delivered, over all the losses."""
    async with connect(
        URL,
        opener=network,
        retry_delay=0.0,
        retry_count=None,
        inbox_size=2,
        overflow="drop_newest",
    ) as client:
        listener = aiter(client)
        network.server().link.send(1)
        await reconnect(network, 1)
        (_, first) = client.inbox.waiting()
        network.server().link.send("nobody gets this")
        await reconnect(network, 1)
        message, gap = client.inbox.waiting()
        assert message == Message(1)
        assert isinstance(gap, Gap)
        assert isinstance(first, Gap)
        assert gap.since == first.since
        assert gap.until > first.until
        del listener
