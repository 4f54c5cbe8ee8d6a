from __future__ import annotations

import errno
import itertools
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wsfleet import ChildSpec, ClientSupervisor, Gap, SlidingWindow
from wsfleet._pool.hosts import owner_of, proves_network
from wsfleet.errors import (
    ConnectRefusedError,
    ConnectTimeoutError,
    DnsError,
    HandshakeRejectedError,
    TlsError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping

    from tests.unit.fakes import FakeNetwork
    from wsfleet._wire.connection import Connection, Sink
    from wsfleet._wire.opening import Endpoint

    Entries = list[MutableMapping[str, Any]]

URLS = ("ws://one.example.com/", "ws://two.example.org/", "ws://192.0.2.1/")


def named(entries: Entries, *names: str) -> Entries:
    """Return the log entries of these events."""
    return [entry for entry in entries if entry["event"] in names]


@asynccontextmanager
async def fleet(
    network: FakeNetwork, urls: tuple[str, ...] = URLS, each: int = 4, **options: Any
) -> AsyncIterator[ClientSupervisor]:
    """Run so many clients at each of these endpoints."""
    options = {"retry_count": 1, "heartbeat": None} | options
    specs = [
        ChildSpec(url, name=f"{url}{number}", **options)
        for url in urls
        for number in range(each)
    ]
    async with ClientSupervisor(specs, opener=network) as supervisor:
        await supervisor.wait_connected(len(specs))
        for url in urls:
            network.server(url).attempts.clear()
        yield supervisor


def pull_the_plug(network: FakeNetwork, urls: tuple[str, ...] = URLS) -> None:
    """Lose all connections, and let no attempt reach anything."""
    for url in urls:
        network.server(url).die()


def plug_in(network: FakeNetwork, urls: tuple[str, ...] = URLS) -> None:
    """Let attempts reach the servers again."""
    for url in urls:
        network.server(url).down = False


async def test_an_outage_of_the_local_network_uses_up_no_budget(
    network: FakeNetwork, log_entries: Entries
) -> None:
    """
    A fleet that loses its network for minutes fails no client for good, and is whole again
    within seconds of its return.
    """
    async with fleet(network) as supervisor:
        pull_the_plug(network)
        await anyio.sleep(300)
        assert not named(log_entries, "client.failed", "supervisor.child_restarting")
        plug_in(network)
        await anyio.sleep(3)
        await supervisor.wait_connected(12)

    (offline,) = named(log_entries, "fleet.offline")
    assert offline["log_level"] == "warning"
    assert offline["clients"] == 12
    assert 7 <= offline["lost"] <= 12
    assert offline["hosts"] == 2 or offline["hosts"] == 3
    (online,) = named(log_entries, "fleet.online")
    assert online["log_level"] == "info"
    assert 300 <= online["seconds"] <= 302


async def test_one_attempt_for_each_host_and_second_replaces_the_herd(
    network: FakeNetwork,
) -> None:
    """While the network is down, each host is tried about once in a second, by one client."""
    async with fleet(network, each=50):
        pull_the_plug(network)
        await anyio.sleep(2)
        for url in URLS:
            network.server(url).attempts.clear()
        await anyio.sleep(20)
        for url in URLS:
            attempts = network.server(url).attempts
            assert 19 <= len(attempts) <= 21
            gaps = [b - a for a, b in itertools.pairwise(attempts)]
            assert min(gaps) >= 0.99


async def test_the_clients_return_soon_but_not_at_once(
    network: FakeNetwork, log_entries: Entries
) -> None:
    """After the first success the others follow at once, spread over seconds."""
    async with fleet(network, each=100) as supervisor:
        pull_the_plug(network)
        await anyio.sleep(10)
        plug_in(network)
        returned = anyio.current_time()
        for url in URLS:
            network.server(url).attempts.clear()
        await supervisor.wait_connected(2)
        assert anyio.current_time() - returned <= 2.0
        await supervisor.wait_connected(300)
        assert anyio.current_time() - returned <= 5.0

    attempts = sorted(at for url in URLS for at in network.server(url).attempts)
    busiest = max(sum(at <= other < at + 0.1 for other in attempts) for at in attempts)
    assert busiest < 40


async def test_after_an_outage_the_budget_for_connections_holds(network: FakeNetwork) -> None:
    """Clients that return share the `connect_limiter` as ever."""
    limiter = SlidingWindow(10, 1.0)
    async with fleet(network, each=20, connect_limiter=limiter) as supervisor:
        pull_the_plug(network)
        await anyio.sleep(30)
        plug_in(network)
        for url in URLS:
            network.server(url).attempts.clear()
        await supervisor.wait_connected(60)

    attempts = sorted(at for url in URLS for at in network.server(url).attempts)
    assert max(sum(at <= other < at + 0.999 for other in attempts) for at in attempts) <= 10


async def test_the_budget_holds_for_clients_that_are_started_during_an_outage(
    network: FakeNetwork,
) -> None:
    """Clients that wait for the network save up no leave to connect from the limiter."""
    limiter = SlidingWindow(5, 1.0)
    async with fleet(network) as supervisor, anyio.create_task_group() as tasks:
        pull_the_plug(network)
        for number in range(30):
            start = partial(
                supervisor.start_client,
                URLS[0],
                name=f"new {number}",
                connect_limiter=limiter,
                heartbeat=None,
            )
            tasks.start_soon(start)
        await anyio.sleep(30)
        plug_in(network)
        for url in URLS:
            network.server(url).attempts.clear()
        await supervisor.wait_connected(42)

    attempts = sorted(network.server(URLS[0]).attempts)[4:]  # four clients have no limiter
    assert max(sum(at <= other < at + 0.999 for other in attempts) for at in attempts) <= 9


async def test_an_attempt_that_began_during_an_outage_counts_not_after_it(
    network: FakeNetwork,
) -> None:
    """A client whose attempt hangs while the network returns does not fail because of it."""
    hangs: list[float] = []

    async def open_slowly(endpoint: Endpoint, sink: Sink) -> Connection:
        if hangs and endpoint.url == URLS[1]:
            await anyio.sleep(hangs.pop(0))
            raise ConnectTimeoutError(endpoint.url, "not open in time")
        return await network(endpoint, sink)

    specs = [ChildSpec(url, retry_count=1, restart="temporary") for url in URLS[:2]]
    async with ClientSupervisor(specs, opener=open_slowly) as supervisor:
        await supervisor.wait_connected(2)
        pull_the_plug(network, URLS[:2])
        hangs += [50.0, 0.5]
        await anyio.sleep(10)
        plug_in(network, URLS[:2])
        await supervisor.wait_connected(1)
        assert hangs == [0.5]  # the first one has begun; the other, after the outage, counts
        await anyio.sleep(60)
        await supervisor.wait_connected(2)


async def test_a_gap_says_that_the_local_network_was_down(network: FakeNetwork) -> None:
    """What was missed is not blamed on a server, and the first cause is told as well."""
    gaps: dict[str, Gap] = {}
    async with fleet(network, each=1) as supervisor:
        pull_the_plug(network)
        await anyio.sleep(5)
        plug_in(network)
        async for client, event in supervisor:
            if isinstance(event, Gap):
                gaps[client.url] = event
            if len(gaps) == len(URLS):
                break

    for gap in gaps.values():
        assert gap.cause.startswith("the local network was down: ")
        assert "reset by the test" in gap.cause


async def test_clients_that_are_lost_during_an_outage_are_excused_too(
    network: FakeNetwork, log_entries: Entries
) -> None:
    """A client that notices the outage late counts no failure either."""
    urls = (*URLS, "ws://late.example.net/")
    async with fleet(network, urls, each=1, retry_count=0) as supervisor:
        pull_the_plug(network, URLS)
        await anyio.sleep(10)
        pull_the_plug(network, urls[3:])
        await anyio.sleep(60)
        (late,) = (c for c in supervisor.list_clients() if "late" in c.url)
        assert late.life.alive
        plug_in(network, urls)
        await supervisor.wait_connected(4)


@pytest.mark.parametrize(
    "urls",
    [
        ("ws://one.example.com/a", "ws://one.example.com/b"),
        ("ws://one.example.com/", "ws://two.example.com/"),
        ("ws://192.0.2.1/a", "ws://192.0.2.1:8000/b"),
    ],
)
async def test_one_dead_provider_is_no_outage(
    network: FakeNetwork, log_entries: Entries, urls: tuple[str, ...]
) -> None:
    """A fleet whose hosts belong together blames them, and its budgets count as ever."""
    async with fleet(network, urls, restart="temporary"):
        pull_the_plug(network, urls)
        await anyio.sleep(60)

    assert not named(log_entries, "fleet.offline")
    assert len(named(log_entries, "client.failed")) == 4 * len(urls)


async def test_close_frames_prove_that_the_network_works(
    network: FakeNetwork, log_entries: Entries
) -> None:
    """Servers that end all connections with a close frame cause no outage."""
    async with fleet(network) as supervisor:
        for url in URLS:
            for link in list(network.server(url).open):
                link.close(1012)
        await anyio.sleep(3)
        await supervisor.wait_connected(12)

    assert not named(log_entries, "fleet.offline")


async def test_reconnects_and_stops_on_request_are_no_losses(
    network: FakeNetwork, log_entries: Entries
) -> None:
    """Who reconnects or stops the whole fleet has caused no outage."""
    async with fleet(network) as supervisor, anyio.create_task_group() as tasks:
        for client in supervisor.list_clients()[:6]:
            tasks.start_soon(client.reconnect)
        for client in supervisor.list_clients()[6:]:
            tasks.start_soon(supervisor.stop_client, client)

    assert not named(log_entries, "fleet.offline")


async def test_less_than_half_of_a_fleet_is_no_outage(
    network: FakeNetwork, log_entries: Entries
) -> None:
    """Losing two unrelated servers of many is their fault, not that of the network."""
    many = (*URLS, "ws://198.51.100.1/", "ws://198.51.100.2/")
    async with fleet(network, many, restart="temporary"):
        pull_the_plug(network, many[:2])
        await anyio.sleep(30)

    assert not named(log_entries, "fleet.offline")


async def test_losses_that_are_seconds_apart_are_no_outage(
    network: FakeNetwork, log_entries: Entries
) -> None:
    """Servers that die one after the other are not the local network."""
    async with fleet(network, restart="temporary"):
        for url in URLS:
            pull_the_plug(network, (url,))
            await anyio.sleep(2.5)

    assert not named(log_entries, "fleet.offline")


async def test_an_answer_of_any_kind_ends_an_outage(
    network: FakeNetwork, log_entries: Entries
) -> None:
    """A server that refuses with a status proves the network as well as one that accepts."""
    async with fleet(network, each=1, retry_count=None):
        pull_the_plug(network)
        await anyio.sleep(10)
        assert not named(log_entries, "fleet.online")
        network.server(URLS[0]).refuse(HandshakeRejectedError(URLS[0], "busy", 503))
        await anyio.sleep(2)
        assert named(log_entries, "fleet.online")


async def test_the_probe_passes_on_when_its_client_is_stopped(network: FakeNetwork) -> None:
    """Stopping the clients that wait first holds up none of the others."""
    async with fleet(network, each=20) as supervisor:
        pull_the_plug(network)
        await anyio.sleep(5)
        for client in supervisor.list_clients()[:19]:
            await supervisor.stop_client(client)
        network.server(URLS[0]).attempts.clear()
        await anyio.sleep(5)
        assert 4 <= len(network.server(URLS[0]).attempts) <= 6


def refused(code: int, url: str = "ws://one.example.com/") -> ConnectRefusedError:
    """Return a refusal with an error number of the system, as connecting makes it."""
    error = ConnectRefusedError(url, "refused")
    error.__cause__ = ExceptionGroup("all addresses", [OSError(code, "refused")])
    return error


@pytest.mark.parametrize(
    ("host", "error", "proves"),
    [
        ("a.com", None, True),
        ("a.com", HandshakeRejectedError("ws://a.com", "no", 404), True),
        ("a.com", TlsError("ws://a.com", "expired"), True),
        ("a.com", refused(errno.ECONNREFUSED), True),
        ("a.com", refused(errno.ENETUNREACH), False),
        ("a.com", refused(errno.EHOSTUNREACH), False),
        ("127.0.0.1", refused(errno.ECONNREFUSED), False),
        ("::1", refused(errno.ECONNREFUSED), False),
        ("localhost", refused(errno.ECONNREFUSED), False),
        ("a.com", DnsError("ws://a.com", "no such name"), False),
        ("a.com", ConnectTimeoutError("ws://a.com", "late"), False),
    ],
)
def test_what_proves_the_network(host: str, error: Exception | None, proves: bool) -> None:
    """Only what the other side has sent proves that there is a network."""
    assert proves_network(host, error) is proves


@pytest.mark.parametrize(
    ("host", "other", "related"),
    [
        ("a.example.com", "b.example.com", True),
        ("a.example.com", "example.com.", True),
        ("example.com", "example.org", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8:0::1", True),
        ("localhost", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.2", False),
    ],
)
def test_which_hosts_are_related(host: str, other: str, related: bool) -> None:
    """Names with the same last two labels belong together; addresses that differ do not."""
    assert (owner_of(host) == owner_of(other)) is related
