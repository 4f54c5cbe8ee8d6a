from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.venue import FakeVenue
from wsfleet import ClientSupervisor, TokenBucket, connect, venues
from wsfleet.errors import (
    ConfigError,
    ConnectTimeoutError,
    JsonRpcError,
    NotConnectedError,
    RateLimitedError,
    SessionRejectedError,
)
from wsfleet.venues import Batch, Grant, Login, Venue

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.unit.fakes import FakeNetwork

URL = "ws://fake/"
DERIBIT = replace(
    venues.deribit(
        client_id="id", client_secret="hush", session="bot", cancel_on_disconnect=True
    ),
    heartbeat=None,
)
WRONG = {"code": 13004, "message": "invalid_credentials"}


def token(number: int, expires_in: float = 900.0) -> dict[str, Any]:
    """Return what Deribit grants."""
    return {
        "access_token": f"access-{number}",
        "refresh_token": f"refresh-{number}",
        "expires_in": expires_in,
    }


@pytest.fixture
def venue(network: FakeNetwork) -> FakeVenue:
    """Return a venue that grants logins."""
    venue = FakeVenue(network)
    venue.results["public/auth"] = token(1)
    return venue


def grants(venue: FakeVenue) -> list[str]:
    """Return how each login was asked for."""
    return [params["grant_type"] for method, params in venue.calls if method == "public/auth"]


async def test_the_login_comes_first(network: FakeNetwork, venue: FakeVenue) -> None:
    """A client counts as connected only when it is logged in and its venue's calls are made."""
    venue.hold = True
    async with anyio.create_task_group() as tasks:

        async def live() -> None:
            async with connect(URL, opener=network, venue=DERIBIT) as client:
                states.append(client.get_state())

        states: list[str] = []
        tasks.start_soon(live)
        await anyio.sleep(1)
        assert states == []
        assert venue.methods() == ["public/auth"]
        venue.release()
        await anyio.sleep(1)
        assert states == ["connected"]

    assert venue.calls == [
        (
            "public/auth",
            {
                "grant_type": "client_credentials",
                "client_id": "id",
                "client_secret": "hush",
                "scope": "session:bot",
            },
        ),
        ("private/enable_cancel_on_disconnect", {"scope": "connection"}),
    ]


async def test_every_connection_logs_in_before_its_channels(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A reconnect uses the refresh token, and restores private channels after the login."""
    async with connect(URL, opener=network, venue=DERIBIT, retry_delay=0.0) as client:
        await client.subscribe(["user.orders", "trades"])
        venue.calls.clear()
        venue.results["public/auth"] = token(2)
        venue.server.link.drop()
        await anyio.sleep(1)
        assert client.get_state() == "connected"

    assert venue.methods() == [
        "public/auth",
        "private/enable_cancel_on_disconnect",
        "public/subscribe",
        "private/subscribe",
    ]
    assert venue.calls[0][1] == {"grant_type": "refresh_token", "refresh_token": "refresh-1"}


async def test_a_refused_login_is_final(
    network: FakeNetwork, venue: FakeVenue, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """Wrong credentials fail at once, with the venue's words and without the secret."""
    venue.refusals["public/auth"] = [WRONG]
    with pytest.raises(SessionRejectedError, match="invalid_credentials") as caught:
        async with connect(URL, opener=network, venue=DERIBIT):
            pytest.fail("it never connected")

    assert (caught.value.step, caught.value.code) == ("login", 13004)
    assert not caught.value.recoverable
    assert len(venue.server.attempts) == 1
    assert "hush" not in f"{caught.value!r} {caught.value} {log_entries} {DERIBIT!r}"


async def test_a_venue_that_is_busy_is_tried_again(
    network: FakeNetwork, venue: FakeVenue, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A login that was refused for now is tried on the next connection."""
    venue.refusals["public/auth"] = [{"code": 10028, "message": "too_many_requests"}]
    async with connect(URL, opener=network, venue=DERIBIT) as client:
        assert client.get_state() == "connected"
        assert len(venue.server.attempts) == 2
        venue.server.link.drop()
        await anyio.sleep(10)

    waits = [e["error"] for e in log_entries if e["event"] == "client.reconnect_scheduled"]
    assert "too_many_requests" in waits[0]
    assert "reset by the test" in waits[1]  # and nothing of what was before


async def test_a_login_has_a_deadline_of_its_own(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A venue that does not answer the login is left after login_timeout."""
    venue.mute = {"public/auth"}
    profile = venues.deribit(client_id="id", client_secret="hush", login_timeout=2.0)
    began = anyio.current_time()
    with pytest.raises(ConnectTimeoutError, match="login had no answer in time"):
        async with connect(URL, opener=network, venue=profile, retry_count=0):
            pytest.fail("it never connected")
    assert anyio.current_time() - began == pytest.approx(2.0)


async def test_a_spent_refresh_token_is_no_end(network: FakeNetwork, venue: FakeVenue) -> None:
    """Where the refresh token is refused, the secret is tried before giving up."""
    async with connect(URL, opener=network, venue=DERIBIT, retry_delay=0.0) as client:
        venue.refusals["public/auth"] = [{"code": 13009, "message": "unauthorized"}]
        venue.server.link.drop()
        await anyio.sleep(1)
        assert client.get_state() == "connected"

    assert grants(venue) == ["client_credentials", "refresh_token", "client_credentials"]


async def test_a_login_that_ends_with_its_connection(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """Without a named session each connection logs in with the secret, and renews by token."""
    profile = replace(venues.deribit(client_id="id", client_secret="hush"), heartbeat=None)
    venue.results["public/auth"] = token(1, expires_in=100.0)
    async with connect(URL, opener=network, venue=profile, heartbeat=None, retry_delay=0.0):
        await anyio.sleep(81)
        venue.server.link.drop()
        await anyio.sleep(1)

    assert grants(venue) == ["client_credentials", "refresh_token", "client_credentials"]


async def test_tokens_are_renewed_ahead_of_their_expiry(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A connection stays logged in for as long as it lasts."""
    venue.results["public/auth"] = token(1, expires_in=100.0)
    async with connect(URL, opener=network, venue=DERIBIT, heartbeat=None):
        await anyio.sleep(79)
        assert len(grants(venue)) == 1
        await anyio.sleep(2)
        assert len(grants(venue)) == 2
        await anyio.sleep(160)
        assert grants(venue) == ["client_credentials"] + ["refresh_token"] * 3
        assert len(venue.server.links) == 1


@pytest.mark.parametrize("expires_in", [0, -5, 0.001])
async def test_a_grant_that_is_over_at_once_is_no_flood(
    network: FakeNetwork, venue: FakeVenue, expires_in: float
) -> None:
    """Whatever a venue says of a login's life, it is renewed once a second at most."""
    venue.results["public/auth"] = token(1, expires_in=expires_in)
    async with connect(URL, opener=network, venue=DERIBIT, heartbeat=None):
        await anyio.sleep(10)
        assert 5 <= len(grants(venue)) <= 11


async def test_a_grant_without_a_usable_life_lasts(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """What is no number of seconds, or no token, is as good as none."""
    venue.results["public/auth"] = {"refresh_token": 7, "expires_in": "900"}
    async with connect(
        URL, opener=network, venue=DERIBIT, heartbeat=None, retry_delay=0.0
    ) as client:
        await anyio.sleep(1000)
        venue.server.link.drop()
        await anyio.sleep(1)
        assert client.get_state() == "connected"

    assert grants(venue) == ["client_credentials", "client_credentials"]


async def test_an_error_that_is_null_is_none(network: FakeNetwork, venue: FakeVenue) -> None:
    """A server that sends "error": null with each result has not refused the token."""
    venue.nulls = True
    async with connect(URL, opener=network, venue=DERIBIT, retry_delay=0.0) as client:
        venue.server.link.drop()
        await anyio.sleep(1)
        assert client.get_state() == "connected"

    assert grants(venue) == ["client_credentials", "refresh_token"]


@pytest.mark.parametrize("decode", ["json", "raw", str.upper])
async def test_a_login_that_is_answered_too_late_reaches_nobody(
    network: FakeNetwork, venue: FakeVenue, decode: Any
) -> None:
    """The answer to a login that was given up has a token in it: no handler sees it."""
    seen: list[Any] = []
    async with connect(
        URL,
        opener=network,
        venue=DERIBIT,
        handler=seen.append,
        decode=decode,
        retry_delay=0.0,
    ) as client:
        venue.hold = True
        venue.server.link.drop()
        await anyio.sleep(1)
        venue.server.silent = True  # no goodbye, so what comes is still read
        await anyio.sleep(4.5)
        assert venue.server.link.goodbye is not None
        venue.release()
        venue.server.silent = False
        await anyio.sleep(30)
        assert client.get_state() == "connected"

    assert not [event for event in seen if "access" in repr(event).lower()]


async def test_a_call_that_is_no_json_leaves_nothing_behind(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """What a profile makes of channels must be JSON-able; if not, that is said, and all."""
    profile = Venue(subscribe=lambda names: [Batch(tuple(names), {"what": object()})])
    async with connect(URL, opener=network, venue=profile) as client:
        with pytest.raises(TypeError):
            await client.subscribe("a")
        assert client.get_subscriptions() == {}
        assert not client._requests.waiting


async def test_a_renewal_that_is_refused_ends_the_client(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """Credentials that were revoked meanwhile are told as a refused login."""
    venue.results["public/auth"] = token(1, expires_in=100.0)
    with pytest.raises(SessionRejectedError, match="login refused"):
        async with connect(URL, opener=network, venue=DERIBIT, heartbeat=None):
            venue.refusals["public/auth"] = [WRONG, WRONG]
            await anyio.sleep_forever()


async def test_a_renewal_without_an_answer_is_a_reconnect(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A login that cannot be renewed in time is made anew on another connection."""
    venue.results["public/auth"] = token(1, expires_in=100.0)
    async with connect(
        URL, opener=network, venue=DERIBIT, heartbeat=None, retry_delay=0.0
    ) as client:
        venue.mute = {"public/auth"}
        await anyio.sleep(84)
        venue.mute = set()
        await anyio.sleep(5)
        assert client.get_state() == "connected"
        assert len(venue.server.links) == 2
        # The token may be spent: it is not tried again.
        assert grants(venue) == ["client_credentials", "refresh_token", "client_credentials"]


async def test_a_renewal_that_the_limiter_holds_up_is_a_reconnect(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A login that our own limiter does not let us renew does not expire unnoticed."""
    venue.results["public/auth"] = token(1, expires_in=100.0)
    profile = replace(venues.deribit(client_id="id", client_secret="hush"), heartbeat=None)
    async with connect(
        URL,
        opener=network,
        venue=profile,
        heartbeat=None,
        limiter=TokenBucket(1, 0.001),
        retry_count=None,
    ):
        await anyio.sleep(81)
        assert venue.server.links[0].goodbye == (1000, "the login was not renewed in time")


async def test_a_refused_call_of_the_venue_is_named(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """What else a session begins with is refused by its name."""
    venue.refusals["private/enable_cancel_on_disconnect"] = [{"code": 13021, "message": "no"}]
    with pytest.raises(SessionRejectedError) as caught:
        async with connect(URL, opener=network, venue=DERIBIT):
            pytest.fail("it never connected")
    assert caught.value.step == "private/enable_cancel_on_disconnect"


async def test_a_peer_that_leaves_during_the_login(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A connection that is lost before it is ready is an attempt that failed."""
    venue.mute = {"public/auth"}

    async def leave() -> None:
        await anyio.sleep(1)
        venue.server.link.close(1013, "try later")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave)
        with pytest.raises(
            SessionRejectedError, match="before it was ready: try later"
        ) as caught:
            async with connect(URL, opener=network, venue=DERIBIT, retry_count=0):
                pytest.fail("it never connected")
    assert caught.value.recoverable


@pytest.mark.parametrize("after", [0.5, 3.0])
async def test_close_during_the_login(
    network: FakeNetwork, venue: FakeVenue, after: float
) -> None:
    """A client can be closed while its session is prepared; it says goodbye at once."""
    venue.mute = {"public/auth"}
    async with ClientSupervisor(opener=network) as pool:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start_and_expect_nothing, pool)
            await anyio.sleep(after)
            began = anyio.current_time()
            await pool.stop_client(pool.list_clients()[0])
            assert anyio.current_time() - began < 0.1
            assert venue.server.links[-1].goodbye is not None
            tasks.cancel_scope.cancel()


async def start_and_expect_nothing(pool: ClientSupervisor) -> None:
    """Start a client that nobody will use."""
    with pytest.raises(NotConnectedError):
        await pool.start_client(URL, venue=DERIBIT)


async def test_reconnect_during_the_login_waits_for_its_end(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """reconnect() while a connection is prepared returns when that is ready."""
    async with connect(URL, opener=network, venue=DERIBIT, retry_delay=0.0) as client:
        venue.hold = True
        venue.server.link.drop()
        await anyio.sleep(1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.reconnect)
            await anyio.sleep(1)
            venue.release()
        assert client.get_state() == "connected"


async def test_errors_say_whether_they_heal(network: FakeNetwork, venue: FakeVenue) -> None:
    """The venue's profile knows after which errors of request() another try can help."""
    async with connect(URL, opener=network, venue=DERIBIT) as client:
        venue.refusals["buy"] = [
            {"code": 10028, "message": "too_many_requests"},
            {"code": 10009, "message": "not_enough_funds"},
        ]
        for code, heals in ((10028, True), (10009, False)):
            with pytest.raises(JsonRpcError) as caught:
                await client.request("buy")
            assert (caught.value.code, caught.value.recoverable) == (code, heals)


async def test_a_request_with_a_bug_is_a_crash(network: FakeNetwork, venue: FakeVenue) -> None:
    """What a user's login raises before anything is sent reaches the owner."""

    def request(_: Any) -> dict[str, Any]:
        raise LookupError

    login = Login(request=request, read=lambda _: Grant())
    with pytest.raises(LookupError):
        async with connect(URL, opener=network, venue=Venue(login=login)):
            pytest.fail("it never connected")


@pytest.mark.parametrize("result", ["raise", "no grant"])
async def test_a_login_that_cannot_be_read_fails_the_attempt(
    network: FakeNetwork,
    venue: FakeVenue,
    result: str,
    log_entries: list[MutableMapping[str, Any]],
) -> None:
    """An answer that the profile fails to read is one more attempt that failed."""
    answers = iter([True, True, False])

    def read(_: Any) -> Any:
        if next(answers):
            if result == "raise":
                raise LookupError
            return None
        return Grant()

    login = Login(request=lambda _: {"method": "public/auth"}, read=read)
    async with connect(
        URL, opener=network, venue=Venue(login=login), retry_delay=0.1
    ) as client:
        assert client.get_state() == "connected"
    failures = [e for e in log_entries if e["event"] == "venue.function_failed"]
    assert [e["function"].rpartition(".")[2] for e in failures] == ["read", "read"]
    scheduled = [e for e in log_entries if e["event"] == "client.reconnect_scheduled"]
    assert all("could not be read" in e["error"] for e in scheduled)


@pytest.mark.parametrize(
    "seconds",
    [float("nan"), -1.0, "3600", 10**400, [1], {}, True, float("inf"), None],
    ids=lambda seconds: str(seconds)[:5],
)
async def test_whatever_a_venue_says_of_a_logins_life(
    network: FakeNetwork, venue: FakeVenue, seconds: Any
) -> None:
    """A lifetime that is none ends nothing; one that is over means a login each second."""
    login = Login(
        request=lambda _: {"method": "public/auth"}, read=lambda _: Grant(expires_in=seconds)
    )
    async with connect(URL, opener=network, venue=Venue(login=login)) as client:
        await anyio.sleep(9.5)
        assert client.get_state() == "connected"
        assert len(venue.server.links) == 1
        assert venue.methods().count("public/auth") == (10 if seconds == -1.0 else 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: venues.deribit(client_id="id"),
        lambda: venues.deribit(cancel_on_disconnect=True),
        lambda: venues.deribit(heartbeat_interval=5.0),
        lambda: venues.deribit(client_id="a", client_secret="b", login_timeout=0.0),
        lambda: venues.json_rpc(batch_size=0),
        lambda: Venue(pause=-1.0),
        lambda: Login(request=lambda _: {}, read=lambda _: Grant(), refresh_at=1.0),
        lambda: connect(URL, venue="deribit"),  # type: ignore[arg-type]
    ],
)
async def test_nonsense_is_refused(make: Any) -> None:
    """Arguments that can never work are refused before anything is opened."""
    with pytest.raises(ConfigError):
        async with make():
            pass


async def test_deribits_limits_are_kept(network: FakeNetwork, venue: FakeVenue) -> None:
    """Each client has a limiter of its own that tells apart what Deribit counts apart."""
    async with connect(URL, opener=network, venue=venues.deribit(), heartbeat=None) as client:
        await anyio.sleep(1)
        began = anyio.current_time()
        for n in range(8):
            await client.subscribe(f"trades.{n}")
        assert anyio.current_time() - began < 0.1
        await client.subscribe("trades.8")
        assert anyio.current_time() - began == pytest.approx(0.3, abs=0.01)
        for _ in range(15):
            await client.send_message({"id": 1, "method": "private/buy"})
        await client.send_message({"id": 1, "method": "private/close_position"})
        with pytest.raises(RateLimitedError):
            await client.send_message('{"id": 1, "method": "private/sell"}')
        for _ in range(70):
            await client.send_message({"id": 1, "method": "public/ticker"})
        await client.send_message("no call at all")


async def test_plain_json_rpc_with_methods_of_ones_own(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """A profile of JSON-RPC takes the names of a server's methods."""
    profile = venues.json_rpc(subscribe="feed.add", unsubscribe="feed.drop", batch_size=2)
    async with connect(URL, opener=network, venue=profile) as client:
        await client.subscribe(["a", "b", "c"])
        await client.unsubscribe("b")

    assert venue.channels("feed.add") == [["a", "b"], ["c"]]
    assert venue.channels("feed.drop") == [["b"]]


async def test_any_result_that_is_no_list_confirms_all(
    network: FakeNetwork, venue: FakeVenue
) -> None:
    """Servers that only say yes are believed."""
    venue.results["subscribe"] = None
    async with connect(URL, opener=network) as client:
        await client.subscribe(["a", "b"])
        assert client.get_subscriptions() == {"a": "confirmed", "b": "confirmed"}
