from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wsfleet import ClientSupervisor, Gap, Message, connect, recording, venues
from wsfleet.errors import (
    DisconnectedError,
    JsonRpcError,
    NotConnectedError,
    SessionRejectedError,
    SubscriptionRejectedError,
)
from wsfleet.testing import MockDeribit

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from pathlib import Path

    from wsfleet import Venue

TICKER = "ticker.BTC-PERPETUAL.100ms"
TRADES = "trades.BTC-PERPETUAL.100ms"
ORDERS = "user.orders.any.any.raw"


def profile(server: MockDeribit, **options: Any) -> Venue:
    """Return the venue's profile with the credentials that the server knows."""
    return venues.deribit(
        client_id=server.client_id, client_secret=server.client_secret, **options
    )


class Seen:
    """A handler that keeps what it gets, and lets the test wait for it."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._more = anyio.Event()

    def __call__(self, event: Any) -> None:
        self.events.append(event)
        more, self._more = self._more, anyio.Event()
        more.set()

    async def until(self, condition: Callable[[], object]) -> None:
        with anyio.fail_after(10):
            while not condition():
                await self._more.wait()

    @property
    def data(self) -> list[Any]:
        """What came over channels."""
        messages = [event.data for event in self.events if isinstance(event, Message)]
        return [data["params"]["data"] for data in messages]


async def test_a_session_survives_its_venue() -> None:
    """
    After the venue was gone, the client is logged in again, has its public and private
    channels, and its user knows of the gap before anything new comes.
    """
    seen = Seen()
    async with MockDeribit() as server:
        connected = Seen()
        async with connect(
            server.url,
            venue=profile(server, session="bot"),
            handler=seen,
            on_connect=connected,
            retry_delay=0.01,
            retry_count=None,
        ) as client:
            await client.subscribe([TICKER, ORDERS])
            assert server.sessions[0].authenticated
            await server.publish(TICKER, 1)
            await seen.until(lambda: seen.data == [1])
            await server.stop()
            await server.start()
            await connected.until(lambda: len(connected.events) == 2)
            assert client.get_subscriptions() == {TICKER: "confirmed", ORDERS: "confirmed"}
            await server.publish(ORDERS, 2)
            await seen.until(lambda: seen.data == [1, 2])
        assert (server.logins, server.refreshes) == (1, 1)

    gaps = [event for event in seen.events if isinstance(event, Gap)]
    assert set(gaps[-1].channels) == {TICKER, ORDERS}
    assert seen.events.index(gaps[-1]) < seen.events.index(seen.events[-1])


async def test_test_requests_keep_the_connection() -> None:
    """A venue that closes on whoever leaves a test request unanswered keeps ours."""
    async with MockDeribit(heartbeat_scale=0.005, heartbeat_grace=2.0) as server:
        async with connect(
            server.url, venue=profile(server, heartbeat_interval=10.0)
        ) as client:
            await server.wait_until(
                lambda: sum("public/test" in str(message) for message in server.received) >= 5,
                timeout=10,
            )
            await client.request("public/get_time")
            assert (server.accepted, server.connections) == (1, 1)
            assert server.sessions[0].heartbeat_interval == 10


async def test_without_heartbeats_the_venue_closes() -> None:
    """The mock is as strict as the venue: the profile's heartbeat is what keeps us there."""
    async with MockDeribit(heartbeat_scale=0.001, heartbeat_grace=0.05) as server:
        deaf = replace(profile(server), heartbeat=None)
        async with connect(server.url, venue=deaf, reconnect_on_error=False) as client:
            await client.request("public/set_heartbeat", {"interval": 10})
            beats = [event async for event in client]
            assert "test_request" in str(beats)  # and then the venue closed


async def test_wrong_credentials_end_the_client() -> None:
    """A refused login is told at once, and not tried again and again."""
    async with MockDeribit() as server:
        wrong = venues.deribit(client_id=server.client_id, client_secret="wrong")
        with pytest.raises(SessionRejectedError, match="invalid_credentials") as caught:
            async with connect(server.url, venue=wrong):
                pytest.fail("it never connected")
        assert caught.value.code == 13004
        assert server.accepted == 1


async def test_private_channels_need_a_login() -> None:
    """Without credentials private channels are refused, and public ones are not."""
    async with MockDeribit() as server:
        async with connect(server.url, venue=venues.deribit()) as client:
            with pytest.raises(SubscriptionRejectedError) as caught:
                await client.subscribe([TICKER, ORDERS])
            assert set(caught.value.rejected) == {ORDERS}
            assert caught.value.confirmed == (TICKER,)


async def test_what_the_venue_leaves_out_is_rejected() -> None:
    """Deribit names only the channels that exist: the others are reported one by one."""
    async with MockDeribit(channels=[TICKER]) as server:
        async with connect(server.url, venue=profile(server)) as client:
            with pytest.raises(SubscriptionRejectedError) as caught:
                await client.subscribe([TICKER, TRADES])
            assert set(caught.value.rejected) == {TRADES}
            assert server.sessions[0].channels == {TICKER}


async def test_orders_are_cancelled_when_the_connection_drops() -> None:
    """cancel_on_disconnect is asked for on every connection, and the venue does it."""
    order = {"instrument_name": "BTC-PERPETUAL", "amount": 10, "price": 50_000}
    async with MockDeribit() as server:
        async with connect(
            server.url, venue=profile(server, cancel_on_disconnect=True), retry_delay=0.01
        ) as client:
            await client.request("private/buy", order)
            await client.reconnect()
            await server.simulate_disconnect("reset")
            assert [each.order_state for each in server.orders] == ["cancelled"]
            await client.reconnect()
            await client.request("private/buy", order)
            assert server.orders[1].order_state == "open"


async def test_the_profile_keeps_within_the_rate() -> None:
    """Whatever a bot asks for, its client never runs into the venue's error 10028."""
    async with MockDeribit() as server:
        async with connect(
            server.url, venue=profile(server), limiter_timeout=None, request_timeout=20.0
        ) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(120):
                    tasks.start_soon(client.request, "public/get_time")
                for number in range(4):
                    tasks.start_soon(client.subscribe, f"trades.X-{number}.100ms")
            assert server.accepted == 1


async def test_beyond_the_rate_the_venue_answers_10028() -> None:
    """Without a limiter the venue's error reaches the caller, and says that it heals."""
    async with MockDeribit() as server:
        unlimited = replace(profile(server), limiter=None)
        outcomes: list[Exception] = []

        async def ask() -> None:
            try:
                await client.request("public/get_time")
            except (JsonRpcError, DisconnectedError, NotConnectedError) as error:
                outcomes.append(error)

        async with connect(server.url, venue=unlimited, retry_count=None) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(150):
                    tasks.start_soon(ask)
        limited = [error for error in outcomes if isinstance(error, JsonRpcError)]
        assert limited
        assert all(error.code == 10028 and error.recoverable for error in limited)


async def test_expired_tokens_are_renewed_in_time() -> None:
    """A login that lasts a second is renewed before it ends, again and again."""
    async with MockDeribit(token_lifetime=1.0) as server:
        async with connect(server.url, venue=profile(server)) as client:
            await client.subscribe(ORDERS)
            await server.wait_until(lambda: server.refreshes >= 2, timeout=10)
            assert server.sessions[0].authenticated
            await client.request("private/get_open_orders")
            assert server.accepted == 1


async def test_routing_finds_sessions_ready(
    log_entries: list[MutableMapping[str, Any]],
) -> None:
    """
    A private request balanced onto a client that has just reconnected is never refused for a
    missing login.
    """
    async with MockDeribit() as server:
        lost = Seen()
        async with ClientSupervisor() as pool:
            for _ in range(3):
                await pool.start_client(
                    server.url,
                    venue=profile(server),
                    on_disconnect=lost,
                    retry_delay=0.01,
                    retry_count=None,
                    limiter_timeout=None,
                )
            for client in pool.list_clients():
                await client.subscribe(ORDERS)
            await server.simulate_disconnect("reset")
            await lost.until(lambda: len(lost.events) == 3)
            await pool.wait_connected()
            for _ in range(20):
                await pool.request_balanced("private/get_open_orders")
            await pool.wait_connected(3)
            assert all(client.get_subscriptions() for client in pool.list_clients())

    restored = [entry for entry in log_entries if entry["event"] == "subscriptions.restored"]
    assert [(entry["restored"], entry["rejected"]) for entry in restored] == [(1, {})] * 3


async def test_a_session_can_be_recorded(tmp_path: Path) -> None:
    """
    A recording has what wsfleet says itself, too: the login, its answer, and the channels, on
    every connection.
    """
    path = tmp_path / "session.jsonl"
    async with MockDeribit() as server:
        async with connect(server.url, venue=profile(server), record_to=path) as client:
            await client.subscribe([TICKER, ORDERS])
            await client.reconnect()

    called = [
        json.loads(str(entry.data))["method"]
        for entry in recording.read(path)
        if entry.direction == "out" and entry.kind == "text"
    ]
    once = ["public/auth", "public/subscribe", "private/subscribe"]
    assert [method for method in called if method in once] == once * 2
    assert path.stat().st_mode & 0o077 == 0
