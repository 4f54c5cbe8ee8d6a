from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wsfleet import (
    ClientPing,
    ClientState,
    JsonRpcHeartbeat,
    Message,
    PingPong,
    ServerBeat,
    Venue,
    connect,
)
from wsfleet._client.beats import Beats
from wsfleet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.unit.fakes import FakeNetwork
    from tests.unit.venue import FakeVenue
    from wsfleet import Pulse

URL = "ws://fake/"
TEST_REQUEST = {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}
BEAT = {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "heartbeat"}}
TESTED = JsonRpcHeartbeat(interval=10.0, timeout=3.0)


@pytest.mark.parametrize("decode", ["json", "raw", str.upper])
async def test_test_requests_are_answered(
    network: FakeNetwork, venue: FakeVenue, decode: Any
) -> None:
    """
    The server is asked for heartbeats, each of its test requests is answered at once, and no
    handler sees any of it.
    """
    seen: list[Any] = []
    async with connect(
        URL, opener=network, heartbeat=TESTED, handler=seen.append, decode=decode
    ) as client:
        await anyio.sleep(1)
        assert venue.calls == [("public/set_heartbeat", {"interval": 10})]
        for beat in (BEAT, TEST_REQUEST, TEST_REQUEST):
            network.server().link.send(beat)
            await anyio.sleep(5)
        assert venue.methods()[1:] == ["public/test"] * 2
        health = client.get_heartbeat_health()
        assert health is not None
        assert (health.kinds, health.failures) == (("JsonRpcHeartbeat",), 0)
        assert health.last_heard == pytest.approx(5.0)
        assert client.pending == 0
        assert client.get_latency_stats() is None

    assert seen == []


async def test_answers_never_wait_behind_a_slow_consumer(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A handler that is busy for minutes does not hold up the answer to a test request."""

    async def slow(_: Any) -> None:
        await anyio.sleep(300)

    async with connect(URL, opener=network, heartbeat=TESTED, handler=slow):
        network.server().link.send("one")
        network.server().link.send("two")
        network.server().link.send(TEST_REQUEST)
        await anyio.sleep(0.1)
        assert "public/test" in venue.methods()


async def test_a_server_that_falls_silent_is_replaced(
    network: FakeNetwork, venue: FakeVenue, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """Without any beat within interval and timeout the connection is given up, and told."""
    async with connect(URL, opener=network, heartbeat=TESTED, retry_delay=0.0):
        await anyio.sleep(12.9)
        assert len(venue.server.links) == 1
        await anyio.sleep(0.2)
        assert len(venue.server.links) == 2

    assert "heartbeat.missed" in [entry["event"] for entry in log_entries]


@pytest.mark.parametrize("method", ["public/set_heartbeat", "public/test"])
async def test_a_call_without_an_answer_is_a_miss(
    network: FakeNetwork, venue: FakeVenue, method: str
) -> None:
    """A server that does not answer the heartbeat's calls is given up after the timeout."""
    venue.mute = {method}
    async with connect(URL, opener=network, heartbeat=TESTED, retry_delay=0.0):
        network.server().link.send(TEST_REQUEST)
        await anyio.sleep(3.1)
        assert len(venue.server.links) == 2


async def test_a_refused_heartbeat_ends_the_connection_with_its_words(
    network: FakeNetwork, venue: FakeVenue, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A server that refuses to send heartbeats is not trusted without them."""
    venue.refusals["public/set_heartbeat"] = [{"code": -32602, "message": "Invalid params"}]
    async with connect(URL, opener=network, heartbeat=TESTED, retry_delay=0.0) as client:
        await anyio.sleep(1)
        assert client.get_state() is ClientState.CONNECTED

    reasons = [e["reason"] for e in log_entries if e["event"] == "client.disconnected"]
    assert "heartbeat refused" in reasons[0]
    assert "Invalid params" in reasons[0]


async def test_an_inbound_heartbeat_is_the_handlers_where_none_is_configured(
    network: FakeNetwork,
) -> None:
    """A message that only looks like a heartbeat is delivered like any other."""
    seen: list[Any] = []
    async with connect(URL, opener=network, handler=seen.append):
        network.server().link.send(BEAT)

    assert seen == [Message(BEAT)]


@pytest.mark.parametrize(
    ("message", "answer", "sent", "reply"),
    [
        ("ping", "pong", "ping", "pong"),
        ({"op": "ping"}, {"op": "pong"}, '{"op":"ping"}', {"op": "pong", "ts": 1}),
        ({"op": "ping"}, lambda data: data == [1], '{"op":"ping"}', [1]),
    ],
)
async def test_pings_that_are_messages(
    network: FakeNetwork, message: Any, answer: Any, sent: str, reply: Any
) -> None:
    """A ping of one's own goes out at each interval; its answer is measured and hidden."""
    seen: list[Any] = []
    beat = ClientPing(message=message, answer=answer, interval=10.0, timeout=3.0)
    async with connect(URL, opener=network, heartbeat=beat, handler=seen.append) as client:
        for _ in range(3):
            await anyio.sleep(10.5)
            network.server().link.send(reply)
        await anyio.sleep(1)
        assert network.server().link.texts == [sent] * 3
        health = client.get_heartbeat_health()
        assert health is not None
        assert health.last_round_trip == pytest.approx(0.5)
        assert health.failures == 0

    assert seen == []


async def test_pings_that_nobody_answers(network: FakeNetwork) -> None:
    """A missing answer gives the peer up, unless other messages show that it lives."""
    beat = ClientPing(message="ping", answer="pong", interval=10.0, timeout=3.0)
    async with connect(
        URL, opener=network, heartbeat=beat, retry_delay=0.0, handler=lambda _: None
    ):
        link = network.server().link
        link.send("pong")  # answers nothing
        for _ in range(20):
            await anyio.sleep(1)
            link.send("tick")
        assert len(network.server().links) == 1
        await anyio.sleep(7)
        assert len(network.server().links) == 2


async def test_an_early_answer_is_none(network: FakeNetwork) -> None:
    """What came before a ping does not answer it."""
    beat = ClientPing(message="ping", answer="pong", interval=10.0, timeout=3.0)
    async with connect(URL, opener=network, heartbeat=beat, retry_delay=0.0):
        network.server().link.send("pong")
        await anyio.sleep(13.1)
        assert len(network.server().links) == 2


async def test_beats_of_the_server_have_a_deadline(network: FakeNetwork) -> None:
    """
    A feed whose beats stop is dead, whatever else still comes over its connection; each beat
    may be answered.
    """
    beat = ServerBeat(expects={"channel": "heartbeat"}, timeout=5.0, answer="alive")
    async with connect(
        URL, opener=network, heartbeat=beat, retry_delay=0.0, handler=lambda _: None
    ):
        link = network.server().link
        for _ in range(5):
            await anyio.sleep(4)
            link.send({"channel": "heartbeat", "time": 1})
        await anyio.sleep(0.1)
        assert link.texts == ["alive"] * 5
        for _ in range(6):
            assert len(network.server().links) == 1 or _ == 5
            await anyio.sleep(1)
            link.send("status")
        assert len(network.server().links) == 2


async def test_time_in_which_we_did_not_read_does_not_count(network: FakeNetwork) -> None:
    """A consumer that pauses reading does not make the server's beats late."""
    beat = ServerBeat(expects="beat", timeout=5.0)
    async with connect(URL, opener=network, heartbeat=beat, inbox_size=1) as client:
        loop = aiter(client)
        for n in range(4):
            network.server().link.send(n)
        assert network.server().link.reading_paused
        network.server().link.send("beat")
        await anyio.sleep(100)
        for _ in range(4):
            await anext(loop)
        await anyio.sleep(4)
        assert len(network.server().links) == 1


async def test_several_heartbeats(network: FakeNetwork, venue: FakeVenue) -> None:
    """Several run side by side, that of the venue among them, and health names them all."""
    profile = Venue(heartbeat=TESTED)
    beats = (PingPong(interval=4.0), PingPong(interval=5.0))
    async with connect(URL, opener=network, heartbeat=beats, venue=profile) as client:
        await anyio.sleep(12)
        health = client.get_heartbeat_health()
        assert health is not None
        assert health.kinds == ("PingPong", "PingPong", "JsonRpcHeartbeat")
        assert health.kind == "PingPong+PingPong+JsonRpcHeartbeat"
        assert len(venue.server.links) == 1
    async with connect(
        URL, opener=network, heartbeat=None, venue=replace(profile, heartbeat=None)
    ) as client:
        assert client.get_heartbeat_health() is None


async def test_what_a_heartbeat_of_ones_own_is_shown(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """`takes` decides what a heartbeat gets; a message that it fails on is the user's."""

    @dataclass
    class Broken:
        def takes(self, data: Any) -> bool:
            return bool(data["kind"] == "beat")

        async def run(self, pulse: Pulse) -> None:
            assert await pulse.next(5.0) == {"kind": "beat"}
            await anyio.sleep_forever()

    got: list[Any] = []
    async with connect(URL, opener=network, heartbeat=Broken(), handler=got.append) as client:
        network.server().link.send({"kind": "beat"})
        await anyio.sleep(1)
        network.server().link.send(7)
        await anyio.sleep(1)
        assert client.get_state() == "connected"
    assert got == [Message(7)]
    failures = [e for e in log_entries if e["event"] == "venue.function_failed"]
    assert [e["function"].rpartition(".")[2] for e in failures] == ["takes"]


@pytest.mark.parametrize("kind", ["ping", "beat"])
async def test_a_matcher_that_raises_matches_nothing(
    network: FakeNetwork, kind: str, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """The message is the user's, and the log names the function."""

    def broken(data: Any) -> bool:
        return bool(data["kind"])

    def never_awaited(_: Any) -> Any:
        async def answer() -> bool:
            return True

        return answer()

    for function in (broken, never_awaited):
        got: list[Any] = []
        heartbeat = (
            ClientPing(message="ping", answer=function, interval=60.0)
            if kind == "ping"
            else ServerBeat(expects=function, timeout=60.0)
        )
        async with connect(URL, opener=network, heartbeat=heartbeat, handler=got.append):
            network.server().link.send([7])
            network.server().link.send([8])
            await anyio.sleep(1)
        assert got == [Message([7]), Message([8])]
    failures = [e for e in log_entries if e["event"] == "venue.function_failed"]
    assert [e["function"].rpartition(".")[2] for e in failures] == ["broken", "never_awaited"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: JsonRpcHeartbeat(interval=0.0),
        lambda: ClientPing(message="", answer="", timeout=-1.0),
        lambda: ServerBeat(expects="", timeout=float("inf")),
        lambda: connect(URL, heartbeat=[PingPong(), "ping"]),  # type: ignore[list-item]
        lambda: connect(URL, heartbeat=SimpleNamespace(run=None)),
    ],
)
async def test_nonsense_is_refused(make: Any) -> None:
    """Times that can never work, and what is no heartbeat, are refused by their names."""
    with pytest.raises(ConfigError, match="heartbeat"):
        async with make():
            pass


def test_no_connection_no_beat() -> None:
    """While there is no connection, no message is a heartbeat's."""
    beats = Beats([PingPong(), TESTED], interval=30.0, size=10, unread=print)

    assert beats.watchful
    assert not beats.takes(BEAT)


@pytest.mark.parametrize("message", ["s3cret\ud800", {"s3cret": object()}, 5])
def test_messages_that_cannot_be_sent_are_refused(message: Any) -> None:
    """A heartbeat whose message can never be sent is refused, without quoting it."""
    with pytest.raises(ConfigError, match="heartbeat message cannot be sent") as caught:
        ClientPing(message=message, answer="pong")
    assert "s3cret" not in f"{caught.value} {caught.value!r} {caught.value.__context__}"
    with pytest.raises(ConfigError, match="heartbeat answer cannot be sent"):
        ServerBeat(expects="beat", timeout=1.0, answer=message)
