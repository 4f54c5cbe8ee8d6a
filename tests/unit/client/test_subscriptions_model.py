"""
Random lives of subscriptions, held against a venue that knows what it has subscribed.

Users subscribe, unsubscribe and are cancelled; the venue is late, busy or refuses; connections
drop. Once all is quiet, client and venue must agree.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.fakes import FakeNetwork
from wsfleet import Client, TokenBucket, connect
from wsfleet._client.split import SplitLimiter
from wsfleet.errors import DisconnectedError, SubscriptionRejectedError, WsfleetError
from wsfleet.testing.virtual_time import virtual_backends
from wsfleet.venues import Ack, Batch, Venue, json_rpc_ack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.unit.fakes import FakeLink

URL = "ws://fake/"
NAMES = "abcde"
BUSY = 10028
PATIENCE = 4.0


class ModelVenue:
    """Serves calls one by one, in order, as late and as badly as it is told."""

    def __init__(self, network: FakeNetwork) -> None:
        self.server = network.server(URL)
        self.server.answer = self._on_call
        self.subscribed: dict[FakeLink, set[str]] = {}
        self.moods: deque[str] = deque()
        self.refused: list[str] = []
        self.delay = 0.1
        self.busy_with_removals = False
        self._calls: deque[tuple[FakeLink, dict[str, Any]]] = deque()
        self._more = anyio.Event()

    def now_subscribed(self) -> set[str]:
        """Return what it sends over the latest connection."""
        return self.subscribed.get(self.server.link, set())

    def _on_call(self, call: dict[str, Any]) -> None:
        self._calls.append((self.server.link, call))
        self._more.set()

    async def serve(self) -> None:
        while True:
            while self._calls:
                await anyio.sleep(self.delay)
                link, call = self._calls.popleft()
                for answer in self._answers(link, call):
                    if not link.closing:
                        link.send(answer)
            self._more = anyio.Event()
            await self._more.wait()

    def _answers(self, link: FakeLink, call: dict[str, Any]) -> Iterable[dict[str, Any]]:
        names = call["params"]["channels"]
        adds = call["method"] == "subscribe"
        mood = self.moods.popleft() if self.moods else "good"
        if mood == "busy" and (adds or self.busy_with_removals):
            return [self._answer(call, error={"code": BUSY, "message": "busy"})]
        known = self.subscribed.setdefault(link, set())
        if not adds:
            known.difference_update(names)
            return [self._answer(call, result=names)]
        if mood == "mute":
            return []
        taken = names[1:] if mood == "refuse" else names
        self.refused += [name for name in names if name not in taken]
        known.update(taken)
        return [self._answer(call, result=taken)]

    @staticmethod
    def _answer(call: dict[str, Any], **outcome: Any) -> dict[str, Any]:
        asked = {"method_was": call["method"], "names": call["params"]["channels"]}
        return {"id": call.get("id", 0), **asked, **outcome}


def read_by_id(batch: Batch, response: Any) -> Ack:
    """Read an answer that has the id of its call."""
    return json_rpc_ack(batch, response, frozenset({BUSY}))


def read_by_looks(batch: Batch, response: Any) -> Ack | None:
    """Read an answer that is told only by what it names."""
    if not isinstance(response, dict) or response.get("names") != list(batch.channels):
        return None
    if response["method_was"] != batch.message["method"]:
        return None
    return read_by_id(batch, response)


class Users:
    """Subscribes and unsubscribes, and keeps count of what must and what may be held."""

    def __init__(self, client: Client, venue: ModelVenue) -> None:
        self.client = client
        self.venue = venue
        self.least: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.running: list[anyio.CancelScope] = []

    async def subscribe(self, names: Sequence[str], scope: anyio.CancelScope) -> None:
        confirmed: Sequence[str] = ()
        with scope:
            try:
                await self.client.subscribe(names)
                confirmed = names
            except SubscriptionRejectedError as error:
                confirmed = error.confirmed
            except WsfleetError:
                pass
        self.running.remove(scope)
        self.least.update(confirmed)
        self.most.update(confirmed)

    async def unsubscribe(self, names: Sequence[str], scope: anyio.CancelScope) -> None:
        done = False
        with scope:
            try:
                await self.client.unsubscribe(names)
                done = True
            except DisconnectedError:
                done = True
            except WsfleetError:
                pass
        self.running.remove(scope)
        if done:
            self.most.subtract(names)

    async def reconnect(self, _: None, scope: anyio.CancelScope) -> None:
        with scope:
            await self.client.reconnect()
        self.running.remove(scope)

    def held(self, names: Iterable[str]) -> list[str]:
        """Return those of which somebody knows that they are subscribed."""
        return [name for name in names if self.least[name] > 0]

    def take_note_of_refusals(self) -> None:
        """A refused restore takes the channel from all."""
        for name in self.venue.refused:
            self.least[name] = min(self.least[name], 0)
        self.venue.refused.clear()


def split_limiter() -> SplitLimiter:
    """Return a limiter in which what removes overtakes what adds, and the other way round."""
    return SplitLimiter(
        {"subscribe": TokenBucket(2, 0.7), "unsubscribe": TokenBucket(2, 0.4)},
        lambda message: message["method"],
        default="subscribe",
    )


LIMITERS: dict[str, Any] = {
    "none": lambda: None,
    "one": lambda: TokenBucket(2, 1.0),
    "split": split_limiter,
}
names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)
pauses = st.sampled_from([0.0, 0.05, 0.3, 1.0, 3.0])
steps = st.one_of(
    st.tuples(st.just("subscribe"), names, pauses),
    st.tuples(st.just("subscribe"), names, pauses),
    st.tuples(st.just("unsubscribe"), names, pauses),
    st.tuples(st.just("unsubscribe"), names, pauses),
    st.tuples(st.just("cancel"), st.integers(0, 5), pauses),
    st.tuples(st.just("mood"), st.sampled_from(["busy", "refuse", "mute", "good"]), pauses),
    st.tuples(st.just("delay"), st.sampled_from([0.0, 0.1, 1.0, 2.5]), pauses),
    st.tuples(st.just("drop"), st.none(), pauses),
    st.tuples(st.just("reconnect"), st.none(), pauses),
)


async def live(script: list[tuple[str, Any, float]], limiter: str, *, by_id: bool) -> None:
    """Play a script, and hold client and venue against each other at its end."""
    network = FakeNetwork()
    venue = ModelVenue(network)
    profile = Venue(
        read_ack=read_by_id if by_id else read_by_looks, by_id=by_id, batch_size=2, pause=0.2
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(venue.serve)
        async with connect(
            URL,
            opener=network,
            venue=profile,
            heartbeat=None,
            limiter=LIMITERS[limiter](),
            request_timeout=PATIENCE,
            retry_delay=0.2,
            retry_count=None,
        ) as client:
            users = Users(client, venue)
            for what, argument, pause in script:
                do(what, argument, users, tasks)
                await anyio.sleep(pause)
            await settle(users)
            check(users)
        tasks.cancel_scope.cancel()


def do(what: str, argument: Any, users: Users, tasks: anyio.abc.TaskGroup) -> None:
    """Do one step of a script."""
    venue = users.venue
    users.take_note_of_refusals()
    if what == "unsubscribe":
        argument = users.held(argument)
        users.least.subtract(argument)
    if what in {"subscribe", "unsubscribe", "reconnect"}:
        scope = anyio.CancelScope()
        users.running.append(scope)
        tasks.start_soon(getattr(users, what), argument, scope)
    elif what == "cancel" and argument < len(users.running):
        users.running[argument].cancel()
    elif what == "mood":
        venue.moods.append(argument)
    elif what == "delay":
        venue.delay = argument
    elif what == "drop":
        venue.server.link.drop()


async def settle(users: Users) -> None:
    """Let the venue be well, and all come to rest."""
    users.venue.moods.clear()
    users.venue.delay = 0.0
    await anyio.sleep(20 * PATIENCE)
    users.take_note_of_refusals()


def check(users: Users) -> None:
    """Hold the client against the venue, and both against what users know."""
    client = users.client
    assert not users.running, "a caller hangs"
    assert client.get_state() == "connected"
    states = client.get_subscriptions()
    confirmed = {name for name, state in states.items() if state == "confirmed"}
    rejected = {name for name, state in states.items() if state == "rejected"}
    assert set(states) == confirmed | rejected, "something is left undecided"
    assert users.venue.now_subscribed() == confirmed, "client and venue disagree"
    subscriptions = client._subscriptions
    for name, channel in subscriptions.channels._channels.items():
        assert channel.claims == 0, "a claim is left"
        assert channel.asked is None, "a batch is left"
        assert (channel.holders > 0) == (name in confirmed), "nobody holds it"
    for name in NAMES:
        known = subscriptions.channels._channels.get(name)
        holders = 0 if known is None else known.holders
        assert users.least[name] <= holders <= users.most[name], f"{name} is counted wrongly"
    assert not subscriptions.channels._claims


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("by_id", [True, False])
@settings(max_examples=30)
@given(
    script=st.lists(steps, min_size=20, max_size=40), limiter=st.sampled_from(sorted(LIMITERS))
)
def test_client_and_venue_agree_once_all_is_quiet(
    backend: str, by_id: bool, script: list[tuple[str, Any, float]], limiter: str
) -> None:
    """
    Whatever users, venue and network do: in the end the venue has subscribed exactly what the
    client says, users are counted rightly, and nobody hangs.
    """
    name, options = virtual_backends()[backend]

    async def run() -> None:
        await live(script, limiter, by_id=by_id)

    anyio.run(run, backend=name, backend_options=options)
