from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wsfleet import Gap, Message, TokenBucket, UnmatchedResponse, connect, venues
from wsfleet.errors import (
    ConfigError,
    DisconnectedError,
    NotConnectedError,
    RateLimitedError,
    RequestTimeoutError,
    SubscriptionRejectedError,
    UnreadableAnswerError,
)
from wsfleet.venues import Ack, Batch, Venue

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from tests.unit.fakes import FakeNetwork
    from tests.unit.venue import FakeVenue

URL = "ws://fake/"


async def test_a_channel_is_confirmed_and_removed(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """Subscribe returns when the venue has confirmed, unsubscribe when it has removed."""
    async with connect(URL, opener=network) as client:
        await client.subscribe(["a", "b"])
        assert client.get_subscriptions() == {"a": "confirmed", "b": "confirmed"}
        await client.unsubscribe("a")
        assert client.get_subscriptions() == {"b": "confirmed"}
        assert client.pending == 0

    assert venue.calls == [
        ("subscribe", {"channels": ["a", "b"]}),
        ("unsubscribe", {"channels": ["a"]}),
    ]


async def test_states_before_the_venue_answers(network: FakeNetwork, venue: FakeVenue) -> None:
    """A channel is pending until confirmed, and removing until removed."""
    async with connect(URL, opener=network) as client, anyio.create_task_group() as tasks:
        venue.hold = True
        tasks.start_soon(client.subscribe, "a")
        await anyio.sleep(1)
        assert client.get_subscriptions() == {"a": "pending"}
        venue.release()
        await anyio.sleep(1)
        venue.hold = True
        tasks.start_soon(client.unsubscribe, "a")
        await anyio.sleep(1)
        assert client.get_subscriptions() == {"a": "removing"}
        venue.release()
        await anyio.sleep(1)
        assert client.get_subscriptions() == {}


async def test_a_part_may_be_refused(network: FakeNetwork, venue: FakeVenue) -> None:
    """Each refused channel is reported with the venue's words; the others are subscribed."""
    venue.unknown = {"x", "y"}
    async with connect(URL, opener=network) as client:
        with pytest.raises(SubscriptionRejectedError) as caught:
            await client.subscribe(["a", "x", "y"])
        assert caught.value.confirmed == ("a",)
        assert set(caught.value.rejected) == {"x", "y"}
        assert client.get_subscriptions() == {
            "a": "confirmed",
            "x": "rejected",
            "y": "rejected",
        }


async def test_an_error_refuses_all_of_a_call(network: FakeNetwork, venue: FakeVenue) -> None:
    """A JSON-RPC error rejects every channel of its call, with its words and number."""
    venue.refusals["subscribe"] = [{"code": 13009, "message": "unauthorized"}]
    async with connect(URL, opener=network) as client:
        with pytest.raises(SubscriptionRejectedError, match="unauthorized \\(13009\\)"):
            await client.subscribe(["a"])
        await client.subscribe(["a"])  # the next try is a new one
        assert client.get_subscriptions() == {"a": "confirmed"}


async def test_channels_are_restored_in_batches_and_before_the_client_is_connected(
    network: FakeNetwork, venue: FakeVenue, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """
    After a reconnect all channels are subscribed again, in paced batches, before the client
    says that it is connected, and one event tells of it.
    """
    profile = Venue(batch_size=2, pause=1.0)
    states: list[str] = []
    async with connect(
        URL,
        opener=network,
        venue=profile,
        retry_delay=0.0,
        on_connect=lambda c: states.extend(c.get_subscriptions().values()),
    ) as client:
        await client.subscribe(["a", "b", "c"])
        venue.calls.clear()
        log_entries.clear()
        venue.server.link.drop()
        await anyio.sleep(0.5)
        assert client.get_state() == "connecting"
        with pytest.raises(NotConnectedError):
            await client.send_message("too early")
        await anyio.sleep(1)
        assert client.get_state() == "connected"
        assert client.get_subscriptions() == dict.fromkeys("abc", "confirmed")

    assert venue.channels() == [["a", "b"], ["c"]]
    assert states == ["confirmed"] * 3
    names = [entry["event"] for entry in log_entries][:6]
    assert names == [
        "client.disconnected",
        "client.reconnect_scheduled",
        "client.connecting",
        "subscriptions.restored",
        "client.connected",
        "client.disconnected",
    ]
    restored = log_entries[3]
    assert (restored["restored"], restored["rejected"], restored["generation"]) == (3, {}, 2)
    assert restored["seconds"] == pytest.approx(1.0)


async def test_what_was_rejected_is_not_restored(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A rejected channel is not asked for again, and one rejected while restored is dropped."""
    venue.unknown = {"x"}
    async with connect(URL, opener=network, retry_delay=0.0) as client:
        with pytest.raises(SubscriptionRejectedError):
            await client.subscribe(["a", "b", "x"])
        venue.unknown = {"b"}
        venue.server.link.drop()
        await anyio.sleep(1)
        assert client.get_subscriptions() == {"a": "confirmed", "b": "rejected"}
        venue.server.link.drop()
        await anyio.sleep(1)
        assert client.get_subscriptions() == {"a": "confirmed"}

    assert venue.channels() == [["a", "b", "x"], ["a", "b"], ["a"]]
    assert "unsubscribe" not in venue.methods()


async def test_restoring_can_be_switched_off(network: FakeNetwork, venue: FakeVenue) -> None:
    """With restore_subscriptions=False a new connection begins without channels."""
    async with connect(
        URL, opener=network, retry_delay=0.0, restore_subscriptions=False
    ) as client:
        await client.subscribe(["a"])
        venue.server.link.drop()
        await anyio.sleep(1)
        assert client.get_state() == "connected"
        assert client.get_subscriptions() == {}

    assert venue.channels() == [["a"]]


async def test_one_of_two_users_leaves(network: FakeNetwork, venue: FakeVenue) -> None:
    """A channel of two users is asked for once and stays until both have left."""
    async with connect(URL, opener=network) as client:
        await client.subscribe("a")
        await client.subscribe("a")
        await client.unsubscribe("a")
        assert client.get_subscriptions() == {"a": "confirmed"}
        await client.unsubscribe("a")
        assert client.get_subscriptions() == {}
        await client.unsubscribe("a")

    assert venue.methods() == ["subscribe", "unsubscribe"]


async def test_two_subscribe_at_the_same_time(network: FakeNetwork, venue: FakeVenue) -> None:
    """Who subscribes to what another has asked for waits for that answer."""
    async with connect(URL, opener=network) as client:
        venue.hold = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.subscribe, ["a", "b"])
            await anyio.sleep(1)
            tasks.start_soon(client.subscribe, ["b", "c"])
            await anyio.sleep(1)
            assert venue.channels() == [["a", "b"], ["c"]]
            venue.release()
        await client.unsubscribe("b")
        assert client.get_subscriptions() == dict.fromkeys("abc", "confirmed")


async def test_who_waits_takes_over_from_who_gave_up(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """When the one that asked is cancelled, the other that waits asks itself."""
    async with connect(URL, opener=network) as client:
        venue.hold = True
        async with anyio.create_task_group() as tasks:
            first = anyio.CancelScope()

            async def give_up() -> None:
                with first:
                    await client.subscribe("a")

            tasks.start_soon(give_up)
            await anyio.sleep(1)
            tasks.start_soon(client.subscribe, "a")
            await anyio.sleep(1)
            first.cancel()
            await anyio.sleep(1)
            assert venue.channels() == [["a"], ["a"]]
            venue.release()
        assert client.get_subscriptions() == {"a": "confirmed"}
        await client.unsubscribe("a")
        assert client.get_subscriptions() == {}


async def test_a_cancelled_subscribe_leaves_nothing_behind(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """What the venue confirms after its user is gone is removed again, unseen by the user."""
    seen: list[Any] = []
    async with connect(URL, opener=network, handler=seen.append) as client:
        venue.hold = True
        with anyio.move_on_after(1):
            await client.subscribe("a")
        assert client.get_subscriptions() == {}
        venue.release()
        await anyio.sleep(1)
        assert venue.channels("unsubscribe") == [["a"]]
        assert client.get_subscriptions() == {}

    assert seen == []


async def test_a_venue_that_does_not_answer(network: FakeNetwork, venue: FakeVenue) -> None:
    """Without an answer within request_timeout the outcome is unknown, and nothing is kept."""
    async with connect(URL, opener=network, request_timeout=2.0) as client:
        venue.mute = {"subscribe"}
        with pytest.raises(RequestTimeoutError) as caught:
            await client.subscribe("a")
        assert caught.value.sent is None
        assert client.get_subscriptions() == {}
        assert client.pending == 0


async def test_a_loss_ends_the_waiting_at_once(network: FakeNetwork, venue: FakeVenue) -> None:
    """Whoever awaits a confirmation is told of the loss, and the channel is not restored."""
    errors: list[Exception] = []

    async def subscribe() -> None:
        try:
            await client.subscribe(["a", "kept"])
        except DisconnectedError as error:
            errors.append(error)

    async with connect(URL, opener=network, retry_delay=0.0) as client:
        await client.subscribe("kept")
        venue.hold = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(subscribe)
            tasks.start_soon(subscribe)
            await anyio.sleep(1)
            venue.hold = False
            venue.held.clear()
            venue.server.link.drop()
        await anyio.sleep(1)
        assert client.get_subscriptions() == {"kept": "confirmed"}

    assert len(errors) == 2
    assert errors[0] is not errors[1]
    assert venue.channels()[-1] == ["kept"]


async def test_without_a_connection(network: FakeNetwork, venue: FakeVenue) -> None:
    """Subscribe says that nothing was sent; unsubscribe takes the channel from the restore."""
    async with connect(URL, opener=network, retry_count=None, retry_delay=5.0) as client:
        await client.subscribe(["a", "b"])
        venue.server.die()
        await anyio.sleep(1)
        with pytest.raises(NotConnectedError) as caught:
            await client.subscribe("c")
        assert caught.value.sent is False
        await client.unsubscribe("a")
        venue.server.down = False
        await anyio.sleep(60)
        assert client.get_subscriptions() == {"b": "confirmed"}


async def test_a_venue_that_is_too_busy_is_asked_again(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """An error that heals postpones: the venue is asked again, later and later."""
    profile = replace(venues.deribit(), heartbeat=None, limiter=None)
    busy = {"code": 10028, "message": "too_many_requests"}
    venue.refusals["public/subscribe"] = [busy, busy]
    async with connect(URL, opener=network, venue=profile) as client:
        began = anyio.current_time()
        await client.subscribe("a")
        assert anyio.current_time() - began == pytest.approx(0.5 + 1.0)
        venue.refusals["public/unsubscribe"] = [busy]
        await client.unsubscribe("a")
        assert client.get_subscriptions() == {}


async def test_a_restore_that_is_not_answered_is_tried_on_another_connection(
    network: FakeNetwork, venue: FakeVenue, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A connection whose channels cannot be restored in time never counts as connected."""
    async with connect(URL, opener=network, request_timeout=2.0, retry_delay=0.0) as client:
        await client.subscribe("a")
        venue.mute = {"subscribe"}
        venue.server.link.drop()
        await anyio.sleep(1)
        assert client.get_state() == "connecting"
        await anyio.sleep(1.5)
        venue.mute = set()
        await anyio.sleep(3)
        assert client.get_state() == "connected"
        assert client.get_subscriptions() == {"a": "confirmed"}
        assert client.life.generation == 2

    errors = [e["error"] for e in log_entries if e["event"] == "client.reconnect_scheduled"]
    assert "restoring subscriptions had no answer in time" in errors[1]


async def test_reconnecting_on_purpose_keeps_the_channels(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """reconnect() returns when the channels are subscribed again."""
    async with connect(URL, opener=network) as client:
        await client.subscribe(["a", "b"])
        await client.reconnect()
        assert client.get_subscriptions() == {"a": "confirmed", "b": "confirmed"}
        assert venue.channels() == [["a", "b"], ["a", "b"]]


async def test_subscribing_passes_the_limiter(network: FakeNetwork, venue: FakeVenue) -> None:
    """A subscription waits for its turn, within request_timeout, where a message would not."""
    async with connect(
        URL, opener=network, limiter=TokenBucket(1, 0.5), request_timeout=3.0
    ) as client:
        await client.send_message("hello")
        began = anyio.current_time()
        await client.subscribe("a")
        assert anyio.current_time() - began == pytest.approx(2.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.subscribe, "b")
            await anyio.sleep(0.1)
            with pytest.raises(RateLimitedError, match=client.name) as caught:
                await client.subscribe("c")
            assert caught.value.sent is False
        assert client.get_subscriptions() == {"a": "confirmed", "b": "confirmed"}


async def test_a_removal_that_was_not_sent_is_none(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """An unsubscribe that is cancelled before it went out leaves the channel as it was."""
    async with connect(URL, opener=network, limiter=TokenBucket(1, 0.1)) as client:
        await client.subscribe("a")
        with anyio.move_on_after(1):
            await client.unsubscribe("a")
        assert client.get_subscriptions() == {"a": "confirmed"}
        await anyio.sleep(20)
        await client.unsubscribe("a")
        assert client.get_subscriptions() == {}


async def test_a_channel_is_wanted_again_while_it_is_removed(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """Subscribing to a channel that is just being removed asks for it anew."""
    async with connect(URL, opener=network) as client:
        await client.subscribe("a")
        venue.hold = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.unsubscribe, "a")
            await anyio.sleep(1)
            tasks.start_soon(client.subscribe, "a")
            await anyio.sleep(1)
            venue.release()
        assert client.get_subscriptions() == {"a": "confirmed"}

    assert venue.methods() == ["subscribe", "unsubscribe", "subscribe"]


@pytest.mark.parametrize("decode", ["json", "raw", str.upper])
async def test_answers_are_found_however_text_is_decoded(
    network: FakeNetwork, venue: FakeVenue, decode: Any
) -> None:
    """Confirmations reach the client whatever `decode` makes of messages."""
    async with connect(URL, opener=network, decode=decode) as client:
        await client.subscribe("a")
        assert client.get_subscriptions() == {"a": "confirmed"}


async def test_a_channel_is_a_str(network: FakeNetwork) -> None:
    """Anything else is refused before anything is sent."""
    async with connect(URL, opener=network) as client:
        with pytest.raises(TypeError, match="a channel is a str, not int"):
            await client.subscribe(["a", 1])  # type: ignore[list-item]
        await client.subscribe([])
        await client.unsubscribe([])
        assert network.server().link.texts == []


# venues that answer without an id


def op_batches(op: str) -> Any:
    """Return what makes the messages of a venue with `op` and `args`."""

    def batches(channels: Sequence[str]) -> tuple[Batch, ...]:
        message = {"op": op, "args": list(channels)}
        return (Batch(tuple(channels), message, op == "unsubscribe"),)

    return batches


def read_echo(batch: Batch, message: Any) -> Ack | None:
    """Read what a venue says that answers each channel by an echo of its own."""
    if not isinstance(message, dict) or message.get("arg") not in batch.channels:
        return None
    name = message["arg"]
    if message["event"] == "error":
        return Ack(rejected={name: message["msg"]})
    return (
        Ack(confirmed=frozenset({name}))
        if message["event"].startswith("unsub" if batch.removes else "sub")
        else None
    )


ECHOING = Venue(
    name="echoing",
    subscribe=op_batches("subscribe"),
    unsubscribe=op_batches("unsubscribe"),
    read_ack=read_echo,
    by_id=False,
)


@pytest.mark.parametrize("decode", ["json", "raw"])
async def test_a_venue_may_answer_channel_by_channel(network: FakeNetwork, decode: Any) -> None:
    """Answers without an id are found by what they say, and hidden from the handler."""
    seen: list[Any] = []
    async with connect(
        URL, opener=network, venue=ECHOING, handler=seen.append, decode=decode, retry_delay=0.0
    ) as client:
        outcome: list[Any] = []

        async def subscribe() -> None:
            try:
                await client.subscribe(["a", "x"])
            except SubscriptionRejectedError as error:
                outcome.append(error.rejected)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(subscribe)
            await anyio.sleep(1)
            link = network.server().link
            assert link.texts == ['{"op":"subscribe","args":["a","x"]}']
            link.send("noise")
            link.send({"event": "subscribe", "arg": "a"})
            await anyio.sleep(1)
            assert client.get_subscriptions() == {"a": "confirmed", "x": "pending"}
            link.send({"event": "error", "arg": "x", "msg": "no such thing"})
        assert outcome == [{"x": "no such thing"}]
        link.send({"event": "subscribe", "arg": "a"})  # answers nothing any more
        link.drop()
        await anyio.sleep(1)
        link = network.server().link
        assert link.texts == ['{"op":"subscribe","args":["a"]}']
        link.send({"event": "subscribe", "arg": "a"})
        await anyio.sleep(1)
        assert client.get_state() == "connected"

    messages = [event for event in seen if isinstance(event, Message)]
    assert len(messages) == 2  # the noise, and the answer to nothing
    assert not any(isinstance(event, UnmatchedResponse) for event in seen)


async def test_a_question_ends_with_its_connection(network: FakeNetwork) -> None:
    """What looks like an answer, on a connection on which nobody asked, is a message."""
    seen: list[Any] = []
    async with connect(
        URL, opener=network, venue=ECHOING, handler=seen.append, retry_delay=0.0
    ) as client:
        with anyio.move_on_after(1):
            await client.subscribe("a")
        network.server().link.drop()
        await anyio.sleep(1)
        network.server().link.send({"event": "subscribe", "arg": "a"})
        await anyio.sleep(1)

    assert [type(event) for event in seen] == [Gap, Message]


async def test_a_part_that_was_confirmed_is_removed_when_its_user_leaves(
    network: FakeNetwork,
) -> None:
    """Of a subscribe that is cancelled half-way, what is confirmed already goes at once."""
    async with connect(URL, opener=network, venue=ECHOING) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.subscribe, ["a", "b"])
            await anyio.sleep(1)
            network.server().link.send({"event": "subscribe", "arg": "a"})
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()
        assert client.get_subscriptions() == {}
        assert network.server().link.texts[-1] == '{"op":"unsubscribe","args":["a"]}'


async def test_a_profile_that_asks_for_other_channels_is_told(network: FakeNetwork) -> None:
    """A profile must ask for the channels by their names."""
    profile = Venue(subscribe=lambda _: [Batch(("other",), {"op": "subscribe"})])
    async with connect(URL, opener=network, venue=profile) as client:
        with pytest.raises(ConfigError, match="makes no message for a"):
            await client.subscribe("a")


async def test_a_loss_ends_waiting_for_an_echo(network: FakeNetwork) -> None:
    """Without ids too, whoever waits is told at once."""
    async with connect(URL, opener=network, venue=ECHOING) as client:
        async with anyio.create_task_group() as tasks:

            async def subscribe() -> None:
                with pytest.raises(DisconnectedError):
                    await client.subscribe("a")

            tasks.start_soon(subscribe)
            await anyio.sleep(1)
            began = anyio.current_time()
            network.server().link.drop()
        assert anyio.current_time() - began < 0.1


@pytest.mark.parametrize("by_id", [True, False])
@pytest.mark.parametrize("broken", ["raises", "bad", "none"])
async def test_a_profile_with_a_bug_tells_who_asked(
    network: FakeNetwork, venue: FakeVenue, by_id: bool, broken: str
) -> None:
    """
    A call whose answer a profile fails to read says so; a message without an id that it fails
    on may answer nothing, and the call waits on.
    """

    def explode(_: Batch, __: Any) -> Any:
        if broken == "raises":
            raise LookupError
        return Ack(confirmed=[[]]) if broken == "bad" else "no ack"  # type: ignore[arg-type]

    expected: type[Exception] = UnreadableAnswerError if by_id else RequestTimeoutError
    profile = Venue(read_ack=explode, by_id=by_id)
    if not by_id:
        venue.server.answer = None
    async with connect(URL, opener=network, venue=profile) as client:
        async with anyio.create_task_group() as tasks:

            async def subscribe() -> None:
                with pytest.raises(expected):
                    await client.subscribe("a")

            tasks.start_soon(subscribe)
            await anyio.sleep(1)
            network.server().link.send("anything")
        assert client.get_state() == "connected"
        assert client.get_subscriptions() == {}
