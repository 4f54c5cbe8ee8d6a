from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections import deque
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import wsfleet
from wsfleet.testing import Credits, DeribitLimits, FaultProxy, MockDeribit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

TICKER = "ticker.BTC-PERPETUAL.100ms"
ORDERS = "user.orders.any.any.raw"
on_asyncio = pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"use_uvloop": False})], ids=["asyncio"]
)


class Caller:
    """A client that tells answers from notifications, and does nothing on its own."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.notified: deque[Any] = deque()
        self._ids = itertools.count(1)

    async def call(self, method: str, **params: Any) -> Any:
        ident = next(self._ids)
        request = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
        await self.socket.send(json.dumps(request))
        while True:
            message = json.loads(await self.socket.recv())
            if message.get("id") == ident:
                return message
            self.notified.append(message)

    async def result(self, method: str, **params: Any) -> Any:
        return (await self.call(method, **params))["result"]

    async def error(self, method: str, **params: Any) -> Any:
        return (await self.call(method, **params))["error"]

    async def notification(self) -> Any:
        return (
            self.notified.popleft() if self.notified else json.loads(await self.socket.recv())
        )

    async def log_in(self, server: MockDeribit, **params: Any) -> Any:
        given = {"client_id": server.client_id, "client_secret": server.client_secret}
        return await self.result(
            "public/auth", grant_type="client_credentials", **given | params
        )

    async def buy(self) -> str:
        order = {"instrument_name": "BTC-PERPETUAL", "amount": 10, "price": 50_000}
        return str((await self.result("private/buy", **order))["order"]["order_id"])


@asynccontextmanager
async def caller(server: MockDeribit) -> AsyncIterator[Caller]:
    """Connect to the venue."""
    async with connect(server.url, close_timeout=1) as socket:
        yield Caller(socket)


async def closes(socket: ClientConnection, within: float = 1.0) -> bool:
    """Read on; tell whether the server closes in time."""
    try:
        async with asyncio.timeout(within):
            while True:
                await socket.recv()
    except TimeoutError:
        return False
    except ConnectionClosed:
        return True


def states(server: MockDeribit) -> list[str]:
    """Return the state of each order."""
    return [order.order_state for order in server.orders]


async def test_a_client_talks_to_the_venue_on_every_event_loop() -> None:
    """A test on asyncio, uvloop or trio logs in, subscribes and gets what is published."""
    async with MockDeribit() as server, wsfleet.connect(server.url) as client:
        secrets = {"client_id": server.client_id, "client_secret": server.client_secret}
        login = {"grant_type": "client_credentials", **secrets}
        assert (await client.request("public/auth", login))["token_type"] == "bearer"
        assert await client.request("private/subscribe", {"channels": [ORDERS]}) == [ORDERS]
        assert await server.publish(ORDERS, [{"order_id": "1"}]) == 1
        event = await anext(aiter(client))
        assert isinstance(event, wsfleet.Message)
        assert event.data["params"] == {"channel": ORDERS, "data": [{"order_id": "1"}]}


@on_asyncio
@pytest.mark.parametrize("ident", [7, "a", None, 0])
async def test_the_envelope_of_an_answer(ident: object) -> None:
    """An answer repeats the id as it came, and carries the venue's marks of time."""
    async with MockDeribit() as server, caller(server) as client:
        await client.socket.send(json.dumps({"id": ident, "method": "public/get_time"}))
        answer = json.loads(await client.socket.recv())
        assert answer.keys() == {
            *("jsonrpc", "id", "result", "testnet", "usIn", "usOut", "usDiff")
        }
        assert (answer["jsonrpc"], answer["id"], answer["testnet"]) == ("2.0", ident, True)
        assert answer["usOut"] - answer["usIn"] == answer["usDiff"] >= 0
        assert answer["result"] == pytest.approx(time.time() * 1e3, abs=5e3)
        assert answer["usIn"] == pytest.approx(time.time() * 1e6, abs=5e6)


@on_asyncio
@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no JSON", -32700),
        ('[{"id": 1, "method": "public/test"}]', -32600),
        ('{"method": 7}', -32600),
        ('{"method": "public/nope"}', -32601),
        ('{"method": "public/test", "params": [1]}', -32602),
        ('{"method": "public/subscribe"}', -32602),
        ('{"method": "public/subscribe", "params": {"channels": "ticker.x"}}', -32602),
        ('{"method": "public/set_heartbeat", "params": {"interval": "10"}}', -32602),
        ('{"method": "public/hello", "params": {"client_name": "bot"}}', -32602),
        ('{"method": "public/auth", "params": {"grant_type": "password"}}', -32602),
    ],
)
async def test_what_is_wrong_is_refused(message: str, code: int) -> None:
    """A wrong request gets its error, without an id where it had none, and nothing closes."""
    async with MockDeribit() as server, caller(server) as client:
        await client.socket.send(message)
        answer = json.loads(await client.socket.recv())
        assert answer["error"]["code"] == code
        assert "id" not in answer
        assert await client.result("public/test") == {"version": "1.2.26"}


@on_asyncio
async def test_logging_in() -> None:
    """Credentials give tokens for this connection; the venue says what they are good for."""
    async with MockDeribit(client_id="me", client_secret="s", token_lifetime=60) as server:
        async with caller(server) as client, caller(server) as other:
            assert not server.sessions[0].authenticated
            login = await client.log_in(server, state="x")
            assert login["token_type"] == "bearer"
            assert login["scope"] == "connection mainaccount"
            assert (login["expires_in"], login["state"]) == (60, "x")
            assert [session.authenticated for session in server.sessions] == [True, False]
            assert await client.result("private/get_open_orders") == []
            unauthorized = {"code": 13009, "message": "unauthorized"}
            data = {"data": {"reason": "invalid_token"}}
            assert await other.error("private/get_open_orders") == unauthorized | data


@on_asyncio
@pytest.mark.parametrize("wrong", [{"client_id": "you"}, {"client_secret": "x"}])
async def test_wrong_credentials(wrong: dict[str, str]) -> None:
    """Who may not log in gets 13004, and nothing private."""
    async with MockDeribit() as server, caller(server) as client:
        given = {"client_id": server.client_id, "client_secret": server.client_secret} | wrong
        error = await client.error("public/auth", grant_type="client_credentials", **given)
        assert error == {"code": 13004, "message": "invalid_credentials"}
        assert not server.sessions[0].authenticated
        assert server.logins == 0


def signed(server: MockDeribit, seconds_ago: float = 0) -> dict[str, Any]:
    """Sign a login as the venue documents it."""
    stamp = int((time.time() - seconds_ago) * 1000)
    text = f"{stamp}\nn\nd".encode()
    signature = hmac.new(server.client_secret.encode(), text, hashlib.sha256).hexdigest()
    fields = {"timestamp": stamp, "nonce": "n", "data": "d", "signature": signature}
    return {"grant_type": "client_signature", "client_id": server.client_id, **fields}


@on_asyncio
async def test_a_signature_instead_of_the_secret() -> None:
    """A signature of the moment logs in; an old or a wrong one does not."""
    async with MockDeribit() as server, caller(server) as client:
        right = signed(server)
        stranger = right | {"client_id": "you"}
        for wrong in (signed(server, 61), right | {"signature": "00"}, stranger):
            assert (await client.error("public/auth", **wrong))["code"] == 13004
        assert "access_token" in await client.result("public/auth", **signed(server))


@on_asyncio
async def test_a_refresh_token_works_once() -> None:
    """A refresh token gives new tokens, and is then worth nothing."""
    async with MockDeribit() as server, caller(server) as client:
        first = await client.log_in(server)
        refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        second = await client.result("public/auth", **refresh)
        assert second["access_token"] != first["access_token"]
        assert (await client.error("public/auth", **refresh))["code"] == 13009
        again = {"grant_type": "refresh_token", "refresh_token": second["refresh_token"]}
        await client.result("public/auth", **again)
        assert (server.logins, server.refreshes) == (1, 2)


@on_asyncio
async def test_logins_expire() -> None:
    """After its lifetime a login is worth nothing; its refresh token still is."""
    async with MockDeribit(token_lifetime=0.3) as server, caller(server) as client:
        login = await client.log_in(server)
        assert login["expires_in"] == 0.3
        await asyncio.sleep(0.31)
        assert not server.sessions[0].authenticated
        assert (await client.error("private/get_open_orders"))["code"] == 13009
        refresh = {"grant_type": "refresh_token", "refresh_token": login["refresh_token"]}
        await client.result("public/auth", **refresh)
        assert await client.result("private/get_open_orders") == []


@on_asyncio
async def test_logins_expire_on_command() -> None:
    """A test need not wait for a login to expire."""
    async with MockDeribit() as server, caller(server) as client:
        login = await client.log_in(server)
        await server.expire_tokens()
        token = {"access_token": login["access_token"]}
        assert (await client.error("private/get_open_orders"))["code"] == 13009
        assert (await client.error("private/get_open_orders", **token))["code"] == 13009


@on_asyncio
async def test_tokens_end_with_their_connection_unless_a_session_has_a_name() -> None:
    """The tokens of a lost connection are worth nothing; those of a named session live on."""
    async with MockDeribit() as server:
        async with caller(server) as client:
            own = await client.log_in(server)
            named = await client.log_in(server, scope="session:bot trade:read_write")
            assert named["scope"] == "session:bot trade:read_write mainaccount"
        await server.wait_for_connections(0)
        async with caller(server) as client:
            old = {"access_token": own["access_token"]}
            assert (await client.error("private/get_open_orders", **old))["code"] == 13009
            live = {"access_token": named["access_token"]}
            assert await client.result("private/get_open_orders", **live) == []
            assert (await client.error("private/get_open_orders"))["code"] == 13009
            refresh = {"grant_type": "refresh_token", "refresh_token": own["refresh_token"]}
            assert (await client.error("public/auth", **refresh))["code"] == 13009
            again = refresh | {"refresh_token": named["refresh_token"]}
            assert (await client.result("public/auth", **again))["scope"] == named["scope"]


@on_asyncio
async def test_subscriptions() -> None:
    """The answer lists what is subscribed; unknown channels are left out in silence."""
    async with MockDeribit() as server, caller(server) as one, caller(server) as two:
        asked = [TICKER, TICKER, "nosuch.channel", "book.ETH-PERPETUAL.100ms"]
        confirmed = [TICKER, "book.ETH-PERPETUAL.100ms"]
        assert await one.result("public/subscribe", channels=asked) == confirmed
        assert server.sessions[0].channels == set(confirmed)
        assert await server.publish(TICKER, {"last_price": 1}) == 1
        assert await server.publish("nosuch.channel", {}) == 0
        params = {"channel": TICKER, "data": {"last_price": 1}}
        message = {"jsonrpc": "2.0", "method": "subscription", "params": params}
        assert await one.notification() == message
        left = await one.result("public/unsubscribe", channels=[TICKER, "nosuch.channel"])
        assert left == [TICKER]
        assert await server.publish(TICKER, {}) == 0
        assert await one.result("public/unsubscribe_all") == "ok"
        assert server.sessions[0].channels == set()
        await two.result("public/test")
        assert not two.notified


@on_asyncio
async def test_channels_of_the_tests_own() -> None:
    """A test may say which channels exist."""
    async with MockDeribit(channels=["mine"]) as server, caller(server) as client:
        assert await client.result("public/subscribe", channels=["mine", TICKER]) == ["mine"]


@on_asyncio
async def test_private_channels_need_a_login() -> None:
    """`user.` channels are refused before the login, and by `public/subscribe` always."""
    async with MockDeribit() as server, caller(server) as client:
        assert (await client.error("private/subscribe", channels=[ORDERS]))["code"] == 13009
        assert (await client.error("public/subscribe", channels=[ORDERS]))["code"] == 13009
        await client.log_in(server)
        refused = await client.error("public/subscribe", channels=[TICKER, ORDERS])
        assert refused["code"] == 13009
        assert server.sessions[0].channels == set()
        assert await client.result("private/subscribe", channels=[ORDERS]) == [ORDERS]
        assert await client.result("private/unsubscribe", channels=[ORDERS]) == [ORDERS]


@on_asyncio
async def test_raw_channels_need_a_login() -> None:
    """Raw feeds are refused with 13778 to who is not logged in."""
    raw = {"channels": ["book.BTC-PERPETUAL.raw"]}
    async with MockDeribit() as server, caller(server) as client:
        assert (await client.error("public/subscribe", **raw))["code"] == 13778
        await client.log_in(server)
        assert await client.result("public/subscribe", **raw) == raw["channels"]


@on_asyncio
async def test_a_heartbeat_that_is_answered_goes_on() -> None:
    """With a heartbeat the venue beats and asks; who answers stays connected."""
    async with (
        MockDeribit(heartbeat_scale=0.002, heartbeat_grace=5) as server,
        caller(server) as client,
    ):
        assert await client.result("public/set_heartbeat", interval=10) == "ok"
        assert server.sessions[0].heartbeat_interval == 10
        kinds = []
        for _ in range(6):
            message = await client.notification()
            assert message["method"] == "heartbeat"
            kinds.append(message["params"]["type"])
            await client.result("public/test")
        assert kinds == ["heartbeat", "test_request"] * 3
        assert await client.result("public/disable_heartbeat") == "ok"
        assert server.sessions[0].heartbeat_interval is None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.socket.recv(), 0.15)


@on_asyncio
async def test_a_heartbeat_that_is_not_answered_closes() -> None:
    """Who answers a test request with anything but `public/test` is hung up on."""
    async with MockDeribit(heartbeat_scale=0.005) as server, caller(server) as client:
        began = time.monotonic()
        await client.result("public/set_heartbeat", interval=10)
        await client.result("public/get_time")
        (session,) = server.sessions
        assert await closes(client.socket)
        assert 0.1 <= time.monotonic() - began < 1.0  # one interval, and one of grace
        await server.wait_for_connections(0)
        assert session.heartbeat_interval is None


@on_asyncio
async def test_a_heartbeat_is_not_shorter_than_ten_seconds() -> None:
    """An interval below ten is refused, and sets no heartbeat."""
    async with MockDeribit() as server, caller(server) as client:
        error = await client.error("public/set_heartbeat", interval=9.9)
        assert (error["code"], error["data"]["param"]) == (-32602, "interval")
        assert server.sessions[0].heartbeat_interval is None


@on_asyncio
async def test_a_test_request_on_command() -> None:
    """A test can ask at any moment, without any heartbeat, and sets the grace in seconds."""
    async with MockDeribit(heartbeat_grace=0.3) as server:
        async with caller(server) as good, caller(server) as bad:
            await server.test_request()
            assert (await good.notification())["params"] == {"type": "test_request"}
            await good.result("public/test")
            assert await closes(bad.socket)
            assert await good.result("public/test") == {"version": "1.2.26"}


async def test_a_test_request_to_nobody() -> None:
    """To ask where nobody is connected is an error, not silence."""
    async with MockDeribit() as server:
        with pytest.raises(TimeoutError):
            await server.test_request()


@on_asyncio
async def test_one_answer_is_enough_for_two_test_requests() -> None:
    """One answer, or switching the heartbeat off, settles all that was asked before."""
    async with MockDeribit(heartbeat_grace=0.3) as server:
        async with caller(server) as one, caller(server) as two:
            await server.test_request()
            await server.test_request()
            await one.result("public/test")
            await two.result("public/disable_heartbeat")
            assert not await closes(one.socket, within=0.35)
            await two.result("public/test")


@on_asyncio
async def test_too_many_requests() -> None:
    """Beyond the credits comes 10028, and the venue hangs up; credits come back with time."""
    limits = DeribitLimits(requests=Credits(cost=1, pool=2, refill=2))
    async with MockDeribit(limits=limits) as server:
        async with caller(server) as client, caller(server) as other:
            await client.result("public/test")
            await other.result("public/test")
            error = await client.error("public/test")
            assert error == {"code": 10028, "message": "too_many_requests"}
            assert await closes(client.socket)
            assert await other.result("public/subscribe", channels=[TICKER]) == [TICKER]
            await asyncio.sleep(0.55)
            await other.result("public/test")
            assert (await other.error("public/test"))["code"] == 10028


@on_asyncio
async def test_too_many_subscriptions_and_orders() -> None:
    """Subscribing and ordering have credits of their own; hanging up can be switched off."""
    few = Credits(cost=2, pool=3, refill=0)
    limits = DeribitLimits(subscribe=few, orders=few, requests=None, closes=False)
    async with MockDeribit(limits=limits) as server, caller(server) as client:
        await client.log_in(server)
        await client.buy()
        assert (await client.error("private/cancel", order_id="1"))["code"] == 10028
        await client.result("public/subscribe", channels=[TICKER])
        assert (await client.error("private/subscribe", channels=[TICKER]))["code"] == 10028
        await client.result("public/test")


@on_asyncio
async def test_the_limits_of_the_venue_and_none() -> None:
    """By default ten subscriptions may come at once; without limits as many as you like."""
    async with MockDeribit() as server, caller(server) as client:
        for _ in range(10):
            await client.result("public/subscribe", channels=[TICKER])
        assert (await client.error("public/subscribe", channels=[TICKER]))["code"] == 10028
    async with MockDeribit(limits=None) as server, caller(server) as client:
        for _ in range(200):
            await client.result("public/subscribe", channels=[TICKER])


def test_credits_that_never_suffice() -> None:
    """A pool that cannot hold the price of one request is a mistake, and is told at once."""
    with pytest.raises(ValueError, match="pool"):
        DeribitLimits(requests=Credits(cost=2, pool=1, refill=1))


@on_asyncio
async def test_orders() -> None:
    """Orders rest until they are cancelled; the test sees each with its state."""
    async with MockDeribit() as server, caller(server) as client:
        await client.log_in(server)
        first = await client.buy()
        sell = {"instrument_name": "ETH-PERPETUAL", "amount": 1, "type": "market", "label": "x"}
        order = (await client.result("private/sell", **sell))["order"]
        assert (order["direction"], order["label"], order["order_state"]) == (
            "sell",
            "x",
            "open",
        )
        assert "price" not in order
        cancelled = await client.result("private/cancel", order_id=first)
        assert (cancelled["order_id"], cancelled["order_state"]) == (first, "cancelled")
        assert (await client.error("private/cancel", order_id=first))["code"] == 10004
        left = await client.result("private/get_open_orders")
        assert [each["order_id"] for each in left] == [order["order_id"]]
        assert states(server) == ["cancelled", "open"]
        assert await client.result("private/cancel_all") == 1
        assert states(server) == ["cancelled", "cancelled"]


@on_asyncio
@pytest.mark.parametrize(
    "wrong", [{"amount": None}, {"amount": "1"}, {"amount": True}, {"price": None}]
)
async def test_orders_that_are_not_whole(wrong: dict[str, Any]) -> None:
    """An order without its amount or price is refused and not placed."""
    async with MockDeribit() as server, caller(server) as client:
        await client.log_in(server)
        order = {"instrument_name": "BTC-PERPETUAL", "amount": 1, "price": 2} | wrong
        assert (await client.error("private/buy", **order))["code"] == -32602
        assert server.orders == []


@on_asyncio
async def test_orders_are_cancelled_on_disconnect_where_asked_to() -> None:
    """A lost connection takes its own orders with it if it asked for that, and no others."""
    async with MockDeribit() as server, caller(server) as keeper:
        await keeper.log_in(server)
        await keeper.buy()
        for enable in (False, True):
            async with caller(server) as client:
                await client.log_in(server)
                await client.buy()
                if enable:
                    assert await client.result("private/enable_cancel_on_disconnect") == "ok"
            await server.wait_for_connections(1)
        assert states(server) == ["open", "open", "cancelled"]


@on_asyncio
async def test_a_silent_client_loses_its_orders() -> None:
    """Who is silent because the line is dead is lost to the venue, and its orders with it."""
    async with MockDeribit(heartbeat_grace=0.05) as server, FaultProxy(server.url) as proxy:
        async with connect(proxy.url, close_timeout=0.05) as socket:
            client = Caller(socket)
            await client.log_in(server)
            await client.result("private/enable_cancel_on_disconnect")
            await client.buy()
            await proxy.freeze()
            await server.test_request()
            await server.wait_until(lambda: not server.sessions, timeout=5)
            assert states(server) == ["cancelled"]


@on_asyncio
async def test_cancel_on_disconnect_of_the_account() -> None:
    """Set for the account, it holds for the connections that come after."""
    async with MockDeribit() as server, caller(server) as client:
        await client.log_in(server)
        account = {"scope": "account"}
        await client.result("private/enable_cancel_on_disconnect", **account)
        enabled = {"scope": "account", "enabled": True}
        assert await client.result("private/get_cancel_on_disconnect", **account) == enabled
        assert not (await client.result("private/get_cancel_on_disconnect"))["enabled"]
        async with caller(server) as later:
            await later.log_in(server)
            assert (await later.result("private/get_cancel_on_disconnect"))["enabled"]
            await later.result("private/disable_cancel_on_disconnect")
            await later.buy()
        await server.wait_for_connections(1)
        assert states(server) == ["open"]


@on_asyncio
async def test_a_logout_closes_and_cancels_nothing() -> None:
    """Who says goodbye gets no answer, a closed connection, and keeps the orders."""
    async with MockDeribit() as server, caller(server) as client:
        await client.log_in(server)
        await client.result("private/enable_cancel_on_disconnect")
        await client.buy()
        await client.socket.send('{"id": 99, "method": "private/logout"}')
        with pytest.raises(ConnectionClosed):
            await client.socket.recv()
        await server.wait_for_connections(0)
        assert states(server) == ["open"]


@on_asyncio
async def test_the_33rd_connection_is_refused() -> None:
    """32 connections are welcome; the next one gets HTTP 429."""
    async with MockDeribit() as server, AsyncExitStack() as stack:
        for _ in range(32):
            await stack.enter_async_context(caller(server))
        with pytest.raises(InvalidStatus) as caught:
            await connect(server.url).__aenter__()
        assert caught.value.response.status_code == 429
        assert len(server.sessions) == 32


@on_asyncio
async def test_it_breaks_as_a_mock_server_does() -> None:
    """Disconnects, refusals, stops and expectations are those of `MockServer`."""
    async with MockDeribit() as server:
        async with caller(server) as client:
            await client.result("public/hello", client_name="bot", client_version="1")
            await server.assert_message_sent({"params": {"client_name": "bot"}})
            assert server.sessions[0].client_name == "bot"
            await server.simulate_disconnect("going_away")
            assert await closes(client.socket)
        server.refuse(503)
        with pytest.raises(InvalidStatus):
            await connect(server.url).__aenter__()
        async with caller(server) as client:
            await server.stop()
            assert await closes(client.socket)
            assert server.sessions == []
        await server.start()
        async with caller(server) as client:
            await client.result("public/test")


@on_asyncio
async def test_nothing_secret_in_a_repr() -> None:
    """Neither the server nor its sessions show credentials or tokens."""
    async with MockDeribit(client_secret="hush") as server, caller(server) as client:
        login = await client.log_in(server)
        shown = repr(server) + repr(server.sessions) + repr(server.sessions[0].token)
        assert "hush" not in shown
        assert login["access_token"] not in shown


@on_asyncio
async def test_methods_of_ones_own_are_answered() -> None:
    """A method that the mock lacks is answered as the test says, after the venue's checks."""
    methods = {"public/double": lambda params: params["n"] * 2, "private/secret": lambda _: 1}
    async with MockDeribit(methods=methods) as server, connect(server.url) as socket:
        caller = Caller(socket)
        assert await caller.result("public/double", n=21) == 42
        assert (await caller.error("private/secret"))["code"] == 13009
        assert (await caller.error("public/unknown"))["code"] == -32601
