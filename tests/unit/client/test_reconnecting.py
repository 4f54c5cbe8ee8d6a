from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfleet import ClientState, connect
from wsfleet._client.backoff import MAX_RETRY_AFTER, Backoff
from wsfleet._client.states import Phase
from wsfleet.errors import (
    ConnectError,
    ConnectRefusedError,
    DisconnectedError,
    HandshakeRejectedError,
    NotConnectedError,
    TlsError,
)

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.unit.fakes import FakeNetwork

URL = "ws://fake/"
REFUSED = ConnectRefusedError(URL, "nobody listens")


@given(
    first=st.floats(0, 100),
    cap=st.floats(0, 1000),
    failures=st.integers(1, 3000),
    retry_after=st.one_of(st.none(), st.floats(0, 1e9)),
)
def test_waits_are_random_below_a_ceiling_that_doubles(
    first: float, cap: float, failures: int, retry_after: float | None
) -> None:
    """
    A wait is at most the first doubled each time, and at most the cap, on top of Retry-After.
    """
    backoff = Backoff(first, cap, None)
    backoff.failures = failures - 1

    delay = backoff.next_delay(retry_after)

    asked = min(retry_after or 0.0, MAX_RETRY_AFTER)
    ceiling = min(cap, first * 2.0 ** min(failures - 1, 64))
    assert delay is not None
    assert asked <= delay <= asked + max(0.1 * asked, ceiling)


def test_waits_spread_over_the_whole_range() -> None:
    """Of many clients that lost one server, some come back soon and some late."""
    delays = [Backoff(1.0, 30.0, None).next_delay() or 0.0 for _ in range(500)]

    assert min(delays) < 0.1
    assert max(delays) > 0.9


@pytest.mark.parametrize("first", [0.0, 0.01, 1.0])
def test_those_who_were_told_the_same_retry_after_do_not_return_at_once(first: float) -> None:
    """However short the waits of a fleet are, its clients spread over a tenth of the time."""
    delays = [Backoff(first, 30.0, None).next_delay(5.0) or 0.0 for _ in range(300)]

    assert min(delays) >= 5.0
    assert max(delays) - min(delays) > 0.4
    busiest = max(sum(at <= other < at + 0.05 for other in delays) for at in delays)
    assert busiest < 75


@pytest.mark.parametrize("asked", [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e300])
def test_a_strange_retry_after_stays_within_bounds(asked: float) -> None:
    """A server that asks for nonsense holds up a client for little more than an hour."""
    delay = Backoff(1.0, 30.0, None).next_delay(asked)

    assert delay is not None
    assert 0.0 <= delay <= 1.1 * MAX_RETRY_AFTER


@given(failures=st.integers(0, 5), limit=st.integers(0, 3))
def test_a_failure_that_does_not_count_uses_up_nothing(failures: int, limit: int) -> None:
    """Failures that the local network is to blame for use up no retry, and wait no longer."""
    backoff = Backoff(1.0, 30.0, limit)
    backoff.failures = failures

    delay = backoff.next_delay(counted=False)

    assert delay is not None
    assert delay <= 2.0 ** max(failures - 1, 0)
    assert backoff.failures == failures


@given(limit=st.integers(0, 20))
def test_a_limit_of_n_means_n_retries(limit: int) -> None:
    """With retry_count=n there are n waits, and then the end."""
    backoff = Backoff(1.0, 30.0, limit)

    assert [backoff.next_delay() is not None for _ in range(limit + 1)] == [True] * limit + [
        False
    ]


async def test_the_first_connection_is_retried(network: FakeNetwork) -> None:
    """A server that refuses twice and then accepts is reached, within the ceilings."""
    server = network.server()
    server.refuse(REFUSED, REFUSED)
    async with connect(URL, opener=network) as client:
        assert client.get_state() is ClientState.CONNECTED

    waits = [b - a for a, b in zip(server.attempts, server.attempts[1:], strict=False)]
    assert len(waits) == 2
    assert waits[0] <= 1.0
    assert waits[1] <= 2.0


async def test_retries_are_counted(network: FakeNetwork) -> None:
    """With retry_count=2 a dead server is tried three times, and the error says so."""
    network.server().down = True
    with pytest.raises(ConnectRefusedError, match="gave up after 3 attempts") as caught:
        async with connect(URL, opener=network, retry_count=2):
            pytest.fail("no connection, no block")

    assert caught.value.attempts == 3
    assert len(network.server().attempts) == 3


async def test_without_reconnecting_one_refusal_is_the_end(network: FakeNetwork) -> None:
    """With reconnect_on_error=False the first refusal is raised."""
    network.server().down = True
    with pytest.raises(ConnectRefusedError):
        async with connect(URL, opener=network, reconnect_on_error=False):
            pytest.fail("no connection, no block")

    assert len(network.server().attempts) == 1


@pytest.mark.parametrize(
    "error",
    [
        HandshakeRejectedError(URL, "no", 401),
        HandshakeRejectedError(URL, "no", 403),
        HandshakeRejectedError(URL, "no", 404),
        HandshakeRejectedError(URL, "no", 400),
        HandshakeRejectedError(URL, "moved", 302),
        HandshakeRejectedError(URL, "wrong accept", 101),
        TlsError(URL, "expired", False),
    ],
    ids=str,
)
async def test_what_cannot_heal_is_not_retried(
    network: FakeNetwork, error: ConnectError
) -> None:
    """A refusal that another try cannot change fails at once."""
    server = network.server()
    server.refuse(error)
    with pytest.raises(type(error)) as caught:
        async with connect(URL, opener=network):
            pytest.fail("no connection, no block")

    assert caught.value is error
    assert not error.recoverable
    assert len(server.attempts) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_what_can_heal_is_retried_after_the_time_asked_for(
    network: FakeNetwork, status: int
) -> None:
    """An overloaded server that asks for 20 seconds is left alone for 20, and little more."""
    server = network.server()
    server.refuse(HandshakeRejectedError(URL, "busy", status, 20.0))
    async with connect(URL, opener=network):
        assert 20.0 <= server.attempts[1] - server.attempts[0] <= 22.0


async def test_a_lost_connection_is_replaced(network: FakeNetwork) -> None:
    """After a drop the same client object is connected again, over a new connection."""
    server = network.server()
    server.echo = True
    async with connect(URL, opener=network) as client:
        server.link.drop()
        assert client.get_state() is ClientState.DISCONNECTED
        await anyio.sleep(2)
        assert client.get_state() is ClientState.CONNECTED
        await client.send_message("still here")

    assert [link.texts for link in server.links] == [[], ["still here"]]


async def test_a_flapping_server_is_given_up(network: FakeNetwork) -> None:
    """Connections that never last count as failures in a row."""
    server = network.server()
    with pytest.raises(DisconnectedError):
        async with connect(URL, opener=network, retry_count=2):
            while True:
                await anyio.sleep(3)
                server.link.drop()

    assert len(server.attempts) == 3


async def test_a_stable_connection_forgives(network: FakeNetwork) -> None:
    """A connection that lasted starts the count afresh."""
    server = network.server()
    async with connect(URL, opener=network, retry_count=1, stable_after=10.0) as client:
        for _ in range(5):
            await anyio.sleep(15)
            server.link.drop()
        await anyio.sleep(2)
        assert client.get_state() is ClientState.CONNECTED


async def test_a_clean_goodbye_is_followed_by_a_new_connection(network: FakeNetwork) -> None:
    """A server that recycles its connections with 1001 gets the client back."""
    server = network.server()
    async with connect(URL, opener=network) as client:
        server.link.close(1001, "recycling")
        assert client.get_state() is ClientState.DISCONNECTED
        await anyio.sleep(2)
        assert client.get_state() is ClientState.CONNECTED
        assert server.links[0].goodbye == (1001, "")


async def test_without_reconnecting_a_clean_goodbye_ends_the_client(
    network: FakeNetwork,
) -> None:
    """
    With reconnect_on_error=False a clean goodbye ends the iteration, and no error is raised.
    """
    server = network.server()
    got = []
    async with connect(URL, opener=network, reconnect_on_error=False) as client:
        server.link.send("last words")
        server.link.close(1000)
        got = [event.data async for event in client]

    assert got == ["last words"]


async def test_without_reconnecting_a_drop_is_an_error(network: FakeNetwork) -> None:
    """
    With reconnect_on_error=False a drop is raised out of the iteration, after what came before.
    """
    server = network.server()
    got = []
    with pytest.raises(DisconnectedError):
        async with connect(URL, opener=network, reconnect_on_error=False) as client:
            server.link.send("last words")
            server.link.drop()
            async for event in client:
                got.append(event.data)  # noqa: PERF401 - what came before the error counts

    assert got == ["last words"]


@pytest.mark.parametrize("when", ["at first", "after a loss"])
async def test_a_bug_while_connecting_reaches_the_owner(
    network: FakeNetwork, when: str, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """What a user's http_client raises comes out of the block as it is, and is logged."""
    server = network.server()
    if when == "at first":
        server.refuse(LookupError("no token"))
    with pytest.raises(LookupError, match="no token"):
        async with connect(URL, opener=network):
            server.refuse(LookupError("no token"))
            server.link.drop()
            await anyio.sleep_forever()

    assert log_entries[-1]["event"] == "client.crashed"


async def test_the_block_is_cancelled_when_the_client_fails(network: FakeNetwork) -> None:
    """A block that waits for something else learns that its client failed for good."""
    server = network.server()
    with pytest.raises(ConnectRefusedError):
        async with connect(URL, opener=network, retry_count=1):
            server.die()
            await anyio.sleep_forever()


async def test_a_failure_told_to_the_iteration_is_told_once(network: FakeNetwork) -> None:
    """Whoever catches the failure at the iteration leaves the block without it."""
    server = network.server()
    async with connect(URL, opener=network, retry_count=0) as client:
        server.die()
        with pytest.raises(DisconnectedError):
            async for _ in client:
                pytest.fail("nothing came")


async def test_an_error_of_the_block_comes_out_as_it_is(network: FakeNetwork) -> None:
    """What a user's block raises is not wrapped, not even a group of errors."""
    own = ExceptionGroup("mine", [ValueError("a")])
    with pytest.raises(ExceptionGroup) as caught:
        async with connect(URL, opener=network):
            raise own

    assert caught.value is own
    assert network.server().link.goodbye == (1000, "")


async def test_reconnect_drops_and_opens_now(network: FakeNetwork) -> None:
    """reconnect() returns with a new connection; the old one was told goodbye."""
    server = network.server()
    async with connect(URL, opener=network) as client:
        before = anyio.current_time()
        await client.reconnect()
        assert client.get_state() is ClientState.CONNECTED
        assert anyio.current_time() - before < 0.01

    assert len(server.links) == 2
    assert server.links[0].goodbye == (1000, "reconnecting")


async def test_reconnect_does_not_wait_for_a_dead_peer(network: FakeNetwork) -> None:
    """reconnect() away from a peer that says no goodbye takes half a second at most."""
    server = network.server()
    async with connect(URL, opener=network) as client:
        server.silent = True
        with anyio.fail_after(0.6):
            await client.reconnect()
        server.silent = False


async def test_reconnect_cuts_a_wait_short(network: FakeNetwork) -> None:
    """reconnect() during a long wait connects at once, and starts the count afresh."""
    server = network.server()
    async with connect(URL, opener=network) as client:
        server.refuse(HandshakeRejectedError(URL, "busy", 503, 1000.0))
        server.link.drop()
        await anyio.sleep(5)
        assert client.get_state() is ClientState.DISCONNECTED
        began = anyio.current_time()
        await client.reconnect()
        assert anyio.current_time() - began < 0.1
        assert client.get_state() is ClientState.CONNECTED


async def test_reconnect_gives_all_retries_again(network: FakeNetwork) -> None:
    """After reconnect() a client has as many retries as at its beginning."""
    server = network.server()
    async with connect(URL, opener=network, retry_count=2) as client:
        server.refuse(HandshakeRejectedError(URL, "busy", 503, 100.0))
        server.link.drop()
        await anyio.sleep(50)
        server.refuse(REFUSED, REFUSED)
        await client.reconnect()
        assert client.get_state() is ClientState.CONNECTED
        assert len(server.attempts) == 5


async def test_a_loss_after_a_reconnect_is_a_loss(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A reconnect that cut a wait short is over when it is done: the next loss is a loss."""
    server = network.server()
    async with connect(URL, opener=network) as client:
        server.refuse(HandshakeRejectedError(URL, "busy", 503, 1000.0))
        server.link.drop()
        await anyio.sleep(50)
        await client.reconnect()
        log_entries.clear()
        server.link.drop()
        await anyio.sleep(30)

    assert [(e["event"], e["log_level"]) for e in log_entries[:2]] == [
        ("client.disconnected", "warning"),
        ("client.reconnect_scheduled", "warning"),
    ]


async def test_reconnect_of_a_closed_client_is_refused(network: FakeNetwork) -> None:
    """A client that was closed cannot reconnect, and says so."""
    async with connect(URL, opener=network) as client:
        await client.close()
        with pytest.raises(NotConnectedError, match="closed"):
            await client.reconnect()


async def test_reconnect_raises_what_refused_it(network: FakeNetwork) -> None:
    """A reconnect that fails for good raises what refused it."""
    server = network.server()
    refusal = HandshakeRejectedError(URL, "banned", 403)
    with pytest.raises(HandshakeRejectedError):
        async with connect(URL, opener=network) as client:
            server.refuse(refusal)
            with pytest.raises(HandshakeRejectedError) as caught:
                await client.reconnect()
            assert caught.value is refusal


async def test_reconnect_during_a_wait_may_be_refused(network: FakeNetwork) -> None:
    """
    A reconnect() during a wait only ends that wait: a refusal after it is waited for as ever,
    and harms nothing.
    """
    server = network.server()
    async with connect(URL, opener=network, retry_count=None, retry_delay=10.0) as client:
        server.die()
        await anyio.sleep(0.001)
        assert client.life.phase is Phase.WAITING
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.reconnect)
            await anyio.sleep(0.001)
            assert client.life.phase is Phase.WAITING
            server.down = False
        assert client.get_state() == "connected"


async def test_reconnect_while_the_peer_takes_leave(network: FakeNetwork) -> None:
    """reconnect() during the end of a lost connection spares the wait after it."""
    server = network.server()
    async with connect(
        URL, opener=network, retry_delay=1000.0, max_backoff=1000.0, close_timeout=3.0
    ) as client:
        server.silent = True  # it never closes the socket
        server.link.close(1012)
        await anyio.sleep(1)
        assert client.life.phase is Phase.LOST
        began = anyio.current_time()
        await client.reconnect()
        assert anyio.current_time() - began == pytest.approx(2.0, abs=0.1)
