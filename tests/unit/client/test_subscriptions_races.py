"""What happens to channels when several users, the venue and the network do things at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wsfleet import SplitLimiter, TokenBucket, connect
from wsfleet._client.messages import method_of
from wsfleet.errors import ConfigError, NotConnectedError, SubscriptionRejectedError
from wsfleet.venues import Ack, Batch, Venue, json_rpc_ack, json_rpc_batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.fakes import FakeNetwork
    from tests.unit.venue import FakeVenue

URL = "ws://fake/"
ONE_BY_ONE = Venue(batch_size=1)
BUSY = {"code": 10028, "message": "busy"}


def read_busy(batch: Batch, response: Any) -> Ack:
    """Read answers of a venue that may be busy."""
    return json_rpc_ack(batch, response, frozenset({10028}))


async def test_who_wants_a_channel_keeps_it(network: FakeNetwork, venue: FakeVenue) -> None:
    """
    A channel that somebody subscribes to, while another's long unsubscribe has not come to it,
    stays.
    """
    async with connect(URL, opener=network, venue=ONE_BY_ONE) as client:
        await client.subscribe(["a", "b"])
        venue.hold = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.unsubscribe, ["a", "b"])
            await anyio.sleep(1)
            await client.subscribe("b")  # it is still there: nothing is asked
            venue.release()
        assert client.get_subscriptions() == {"b": "confirmed"}
        await client.unsubscribe("b")
        assert client.get_subscriptions() == {}

    assert venue.channels("unsubscribe") == [["a"], ["b"]]
    assert venue.channels() == [["a"], ["b"]]


async def test_a_removal_that_the_venue_puts_off_is_dropped_when_wanted_again(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A removal that is to be tried again later does not take the channel from a new user."""
    profile = Venue(read_ack=read_busy)
    async with connect(URL, opener=network, venue=profile) as client:
        await client.subscribe("a")
        venue.refusals["unsubscribe"] = [BUSY]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.unsubscribe, "a")
            await anyio.sleep(0.1)
            await client.subscribe("a")
        await anyio.sleep(5)
        assert client.get_subscriptions() == {"a": "confirmed"}

    assert venue.methods() == ["subscribe", "unsubscribe"]


async def test_a_removal_that_was_put_off_and_given_up_is_none(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """An unsubscribe that is cancelled before the venue took it leaves the channel held."""
    profile = Venue(read_ack=read_busy)
    async with connect(URL, opener=network, venue=profile) as client:
        await client.subscribe("a")
        venue.refusals["unsubscribe"] = [BUSY]
        with anyio.move_on_after(0.2):
            await client.unsubscribe("a")
        await anyio.sleep(5)
        assert client.get_subscriptions() == {"a": "confirmed"}
        await client.unsubscribe("a")
        assert client.get_subscriptions() == {}


async def test_a_removal_that_is_put_off_when_nobody_waits_is_tried_again(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A venue that was too busy to remove a channel is told once more, without its user."""
    profile = Venue(read_ack=read_busy)
    async with connect(URL, opener=network, venue=profile) as client:
        await client.subscribe("a")
        venue.hold = True
        venue.refusals["unsubscribe"] = [BUSY]
        with anyio.move_on_after(1):
            await client.unsubscribe("a")
        assert client.get_subscriptions() == {"a": "removing"}
        venue.release()
        await anyio.sleep(1)
        assert client.get_subscriptions() == {}

    assert venue.methods() == ["subscribe", "unsubscribe", "unsubscribe"]


async def test_a_cancelled_unsubscribe_takes_no_share_of_others(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """
    Of several channels, those that others hold too are given back as well when an unsubscribe
    is cancelled before it was sent: to call it again takes nothing twice.
    """
    async with connect(URL, opener=network, limiter=TokenBucket(2, 0.1)) as client:
        await client.subscribe(["a", "b"])
        await client.subscribe("a")
        with anyio.move_on_after(1):
            await client.send_message("the last token")
            await client.unsubscribe(["a", "b"])
        await anyio.sleep(20)
        await client.unsubscribe(["a", "b"])
        assert client.get_subscriptions() == {"a": "confirmed"}


async def test_a_channel_that_is_left_while_others_are_restored(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """
    unsubscribe() while a connection is prepared removes what is restored already, and asks no
    more for what is not.
    """
    profile = Venue(batch_size=1, pause=1.0)
    async with connect(URL, opener=network, venue=profile, retry_delay=0.0) as client:
        await client.subscribe(["a", "b", "c"])
        venue.calls.clear()
        venue.server.link.drop()
        await anyio.sleep(0.5)
        assert client.get_state() == "connecting"
        await client.unsubscribe(["a", "c"])
        await anyio.sleep(5)
        assert client.get_state() == "connected"
        assert client.get_subscriptions() == {"b": "confirmed"}

    assert [(m, p["channels"]) for m, p in venue.calls] == [
        ("subscribe", ["a"]),
        ("unsubscribe", ["a"]),
        ("subscribe", ["b"]),
    ]


async def test_leaving_a_channel_in_the_moment_of_a_loss(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """unsubscribe() on a connection that just broke is no error: nothing is restored."""
    async with connect(URL, opener=network, retry_delay=0.0) as client:
        await client.subscribe(["a", "b"])
        venue.server.link.drop()
        await client.unsubscribe("a")
        await anyio.sleep(1)
        assert client.get_subscriptions() == {"b": "confirmed"}


async def test_a_refusal_of_what_is_subscribed_removes_it(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """
    A channel that was given up, confirmed all the same, and then refused to the next user is
    taken from the venue: nobody wants it.
    """
    async with connect(URL, opener=network) as client:
        venue.hold = True
        with anyio.move_on_after(1):
            await client.subscribe("a")
        venue.refusals["subscribe"] = [{"code": 1, "message": "already subscribed"}]
        async with anyio.create_task_group() as tasks:

            async def subscribe() -> None:
                with pytest.raises(SubscriptionRejectedError):
                    await client.subscribe("a")

            tasks.start_soon(subscribe)
            await anyio.sleep(1)
            venue.release()
        await anyio.sleep(1)

    assert venue.methods() == ["subscribe", "subscribe", "unsubscribe"]


@pytest.mark.parametrize("remove", [False, True])
async def test_a_profile_that_makes_no_message_is_told(
    network: FakeNetwork, venue: FakeVenue, remove: bool
) -> None:
    """A profile that leaves a channel out is an error at once, and never a busy loop."""

    def forgets(channels: Sequence[str]) -> list[Batch]:
        return list(json_rpc_batches("subscribe")([n for n in channels if n != "x"]))[:-1]

    profile = Venue(unsubscribe=forgets) if remove else Venue(subscribe=forgets)
    async with connect(URL, opener=network, venue=profile) as client:
        if remove:
            await client.subscribe("x")
        action = client.unsubscribe if remove else client.subscribe
        with pytest.raises(ConfigError, match="makes no message for x"):
            await action("x")
        assert client.get_subscriptions() == ({"x": "confirmed"} if remove else {})


async def test_a_profile_with_a_bug_in_what_nobody_waits_for(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """
    What a profile raises while a late confirmation is undone reaches the owner, and not the
    event loop.
    """
    released = False

    def explode(_: Sequence[str]) -> list[Batch]:
        raise LookupError

    with pytest.raises(LookupError):
        async with connect(URL, opener=network, venue=Venue(unsubscribe=explode)) as client:
            venue.hold = True
            with anyio.move_on_after(1):
                await client.subscribe("a")
            venue.release()
            released = True
            await anyio.sleep_forever()
    assert released


async def test_what_is_being_removed_is_not_restored(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A channel that was left during a restore is not asked for again while it is removed."""
    profile = Venue(batch_size=1, pause=1.0)
    async with connect(URL, opener=network, venue=profile, retry_delay=0.0) as client:
        await client.subscribe(["a", "b"])
        venue.calls.clear()
        venue.server.link.drop()
        await anyio.sleep(0.5)
        venue.mute = {"unsubscribe"}
        with anyio.move_on_after(5):
            await client.unsubscribe("a")
        assert client.get_state() == "connected"
        assert client.get_subscriptions() == {"a": "removing", "b": "confirmed"}

    assert venue.channels() == [["a"], ["b"]]


async def test_a_cancelled_unsubscribe_that_was_sent_stands(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """Once all of it is sent, an unsubscribe counts, for channels that others hold as well."""
    async with connect(URL, opener=network) as client:
        await client.subscribe(["a", "b"])
        await client.subscribe("a")
        venue.hold = True
        with anyio.move_on_after(1):
            await client.unsubscribe(["a", "b"])
        venue.release()
        await client.unsubscribe("a")
        assert client.get_subscriptions() == {}


async def test_a_channel_is_not_held_again_that_another_has_removed(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """An unsubscribe that is cancelled half-way gives back nothing that is gone meanwhile."""
    async with connect(URL, opener=network, venue=ONE_BY_ONE) as client:
        await client.subscribe(["a", "b"])
        venue.hold = True
        async with anyio.create_task_group() as tasks:
            long = anyio.CancelScope()

            async def unsubscribe() -> None:
                with long:
                    await client.unsubscribe(["a", "b"])

            tasks.start_soon(unsubscribe)
            await anyio.sleep(1)
            await client.subscribe("b")
            tasks.start_soon(client.unsubscribe, "b")
            await anyio.sleep(1)
            assert venue.channels("unsubscribe") == [["a"], ["b"]]
            long.cancel()
            await anyio.sleep(1)
            venue.release()
        await anyio.sleep(1)
        assert client.get_subscriptions() == {}


async def test_an_unsubscribe_that_a_loss_overtakes(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """
    A connection that drops while an unsubscribe waits for its turn takes the channels with it,
    and the share in those that others hold.
    """
    limiter = SplitLimiter(
        {"unsubscribe": TokenBucket(1, 0.1), "all": TokenBucket(100, 100)},
        method_of,
        default="all",
    )
    async with connect(URL, opener=network, limiter=limiter, retry_delay=0.0) as client:
        await client.subscribe(["a", "b", "c"])
        await client.subscribe("a")
        await client.unsubscribe("c")
        async with anyio.create_task_group() as tasks:

            async def unsubscribe() -> None:
                with pytest.raises(NotConnectedError):
                    await client.unsubscribe(["a", "b"])

            tasks.start_soon(unsubscribe)
            await anyio.sleep(1)
            venue.server.link.drop()
        assert client.get_subscriptions() == {"a": "confirmed"}
        await anyio.sleep(10)
        await client.unsubscribe("a")
        assert client.get_subscriptions() == {}


async def test_a_late_refusal_is_for_who_asked(network: FakeNetwork, venue: FakeVenue) -> None:
    """What the venue refuses to one that gave up is not refused to the one that asks now."""
    async with connect(URL, opener=network) as client:
        venue.hold = True
        venue.refusals["subscribe"] = [{"code": 1, "message": "not now"}]
        with anyio.move_on_after(1):
            await client.subscribe("a")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.subscribe, "a")
            await anyio.sleep(1)
            assert venue.channels() == [["a"], ["a"]]
            venue.release()
        assert client.get_subscriptions() == {"a": "confirmed"}


async def test_a_removal_ends_while_a_new_user_has_not_asked_yet(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """Who subscribes to several channels asks also for one whose removal ends meanwhile."""
    async with connect(URL, opener=network, venue=ONE_BY_ONE) as client:
        await client.subscribe("b")
        venue.hold = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.unsubscribe, "b")
            await anyio.sleep(1)
            tasks.start_soon(client.subscribe, ["x", "b"])
            await anyio.sleep(1)
            venue.release()
        assert client.get_subscriptions() == {"b": "confirmed", "x": "confirmed"}

    assert venue.channels() == [["b"], ["x"], ["b"]]


async def test_answers_that_come_in_another_order(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """What was refused, and is confirmed to one that gave up before, is removed."""
    async with connect(URL, opener=network) as client:
        venue.hold = True
        with anyio.move_on_after(1):
            await client.subscribe("a")
        venue.refusals["subscribe"] = [{"code": 1, "message": "no"}]
        async with anyio.create_task_group() as tasks:

            async def subscribe() -> None:
                with pytest.raises(SubscriptionRejectedError):
                    await client.subscribe("a")

            tasks.start_soon(subscribe)
            await anyio.sleep(1)
            venue.held.reverse()
            venue.release()
        await anyio.sleep(1)
        assert client.get_subscriptions() == {"a": "rejected"}

    assert venue.methods() == ["subscribe", "subscribe", "unsubscribe"]
