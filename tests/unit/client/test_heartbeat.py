from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.fakes import FakeNetwork, server_frame
from wsfleet import ClientState, PingPong, connect
from wsfleet._wire.frames import Opcode
from wsfleet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from wsfleet import Pulse

URL = "ws://fake/"
BEAT = PingPong(interval=10.0, timeout=3.0)


def pings(network: FakeNetwork) -> list[bytes]:
    """Return the pings that the latest connection got."""
    link = network.server().link
    return [payload for opcode, payload in link.received if opcode == Opcode.PING]


async def test_a_peer_that_answers_is_kept(network: FakeNetwork) -> None:
    """Pings go out at each interval, each with a payload of its own, and health is kept."""
    async with connect(URL, opener=network, heartbeat=BEAT) as client:
        health = client.get_heartbeat_health()
        assert health is not None
        assert (health.kind, health.failures, health.last_heard) == ("PingPong", 0, None)
        await anyio.sleep(35)
        assert len(set(pings(network))) == 3
        health = client.get_heartbeat_health()
        assert health is not None
        assert health.last_heard == pytest.approx(5.0)
        assert health.last_round_trip == pytest.approx(0.0)
        assert health.median_round_trip == pytest.approx(0.0)

    assert len(network.server().links) == 1


async def test_a_dead_peer_is_found_and_replaced(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A half-open connection is given up after interval and timeout, and replaced."""
    server = network.server()
    async with connect(URL, opener=network, heartbeat=BEAT, retry_delay=0.0) as client:
        server.silent = True
        await anyio.sleep(12.9)
        assert client.get_state() is ClientState.CONNECTED
        await anyio.sleep(0.2)
        server.silent = False
        await anyio.sleep(1)
        assert client.get_state() is ClientState.CONNECTED
        health = client.get_heartbeat_health()
        assert health is not None
        assert health.failures == 1

    assert len(server.links) == 2
    assert "heartbeat.missed" in [e["event"] for e in log_entries]


async def test_the_interval_of_the_configuration_is_the_default(network: FakeNetwork) -> None:
    """Without a heartbeat of one's own, pings go out every heartbeat_interval seconds."""
    async with connect(URL, opener=network, heartbeat_interval=7.0):
        await anyio.sleep(22)
        assert len(pings(network)) == 3


async def test_no_heartbeat_pings_nobody(network: FakeNetwork) -> None:
    """heartbeat=None sends nothing and gives nobody up."""
    async with connect(URL, opener=network, heartbeat=None) as client:
        network.server().silent = True
        await anyio.sleep(1000)
        assert client.get_heartbeat_health() is None
        assert network.server().link.received == []
        network.server().silent = False


async def test_unsolicited_pongs_are_ignored(network: FakeNetwork) -> None:
    """Pongs that nobody asked for do no harm, and answer no ping."""
    async with connect(URL, opener=network, heartbeat=BEAT, retry_delay=0.0):
        link = network.server().link
        for payload in (b"", b"x", (1).to_bytes(8)):
            link.send_bytes(server_frame(Opcode.PONG, payload))
        network.server().silent = True
        await anyio.sleep(13.1)
        network.server().silent = False

    assert len(network.server().links) == 2


async def test_data_prove_life(network: FakeNetwork) -> None:
    """A pong may be stuck behind data: while data arrive the peer is alive."""
    async with connect(URL, opener=network, heartbeat=BEAT, handler=lambda _: None):
        network.server().silent = True
        for _ in range(30):
            await anyio.sleep(1)
            network.server().link.send("tick")
        assert len(network.server().links) == 1
        network.server().silent = False


async def test_time_in_which_we_did_not_read_does_not_count(network: FakeNetwork) -> None:
    """A consumer that is slow for minutes keeps its healthy connection."""
    async with connect(URL, opener=network, heartbeat=BEAT, inbox_size=1) as client:
        loop = aiter(client)
        for n in range(5):
            network.server().link.send(n)
        assert network.server().link.reading_paused
        await anyio.sleep(300)
        assert [(await anext(loop)).data for _ in range(5)] == list(range(5))
        await anyio.sleep(30)
        assert client.get_state() is ClientState.CONNECTED

    assert len(network.server().links) == 1


async def test_a_peer_that_dies_while_we_do_not_read_is_found_later(
    network: FakeNetwork,
) -> None:
    """Once reading goes on, a dead peer is found within the timeout."""
    async with connect(
        URL, opener=network, heartbeat=BEAT, inbox_size=1, retry_delay=0.0
    ) as client:
        loop = aiter(client)
        for n in range(5):
            network.server().link.send(n)
        network.server().silent = True
        await anyio.sleep(100)
        for _ in range(5):
            await anext(loop)
        await anyio.sleep(14)
        network.server().silent = False
        await anyio.sleep(1)

    assert len(network.server().links) == 2


async def test_a_heartbeat_of_ones_own(network: FakeNetwork) -> None:
    """Any object with run(pulse) can be the heartbeat; returning gives the peer up."""

    class Impatient:
        async def run(self, pulse: Pulse) -> None:
            assert await pulse.ping(1.0) == 0.0
            await anyio.sleep(5)

    async with connect(URL, opener=network, heartbeat=Impatient(), retry_delay=0.0) as client:
        await anyio.sleep(5.1)
        health = client.get_heartbeat_health()
        assert health is not None
        assert (health.kind, health.failures) == ("Impatient", 1)


async def test_a_heartbeat_that_raises_is_a_crash(network: FakeNetwork) -> None:
    """An error of a user's heartbeat reaches the owner."""

    class Broken:
        async def run(self, pulse: Pulse) -> None:
            raise LookupError

    for _ in range(20):  # whether the block has begun by then is chance on trio
        with pytest.raises(LookupError):
            async with connect(URL, opener=network, heartbeat=Broken()):
                await anyio.sleep_forever()


async def test_a_heartbeat_that_returns_has_given_the_peer_up(network: FakeNetwork) -> None:
    """What a lone heartbeat says ends the connection, and the next has one of its own."""
    ran: list[Pulse] = []

    class Once:
        async def run(self, pulse: Pulse) -> None:
            ran.append(pulse)
            if len(ran) == 2:
                await anyio.sleep_forever()

    async with connect(URL, opener=network, heartbeat=Once()) as client:
        await anyio.sleep(60)
        assert client.get_state() is ClientState.CONNECTED

    assert len(ran) == 2
    assert ran[0] is not ran[1]


async def test_the_peers_pings_are_answered(network: FakeNetwork) -> None:
    """Each ping gets its pong; on a full buffer only the last of them, when there is room."""
    async with connect(URL, opener=network) as client:
        link = network.server().link
        link.send_bytes(server_frame(Opcode.PING, b"a"))
        link.fill()
        for payload in (b"b", b"c", b"d"):
            link.send_bytes(server_frame(Opcode.PING, payload))
        link.drain()
        assert client.get_state() is ClientState.CONNECTED
        pongs = [payload for opcode, payload in link.received if opcode == Opcode.PONG]

    assert pongs == [b"a", b"d"]


@pytest.mark.parametrize("options", [{"interval": 0.0}, {"timeout": -1.0}, {"timeout": 1e999}])
def test_nonsense_is_refused(options: dict[str, float]) -> None:
    """An interval or a timeout that can never work is refused by its name."""
    with pytest.raises(ConfigError, match=next(iter(options))):
        PingPong(**options)
