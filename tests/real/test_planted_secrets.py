from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog

from tests.real.planted import shown_by
from wsfleet import (
    ChildSpec,
    Client,
    ClientPing,
    ClientSupervisor,
    SlidingWindow,
    connect,
    describe,
    explain,
    recording,
    venues,
)
from wsfleet.errors import DisconnectedError, RestartLimitError, WsfleetError
from wsfleet.testing import MockServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLANTED = "plant3d"
QUICK: dict[str, Any] = {
    "retry_count": 0,
    "retry_delay": 0.01,
    "close_timeout": 1.0,
}
PING = {"op": "ping", "token": PLANTED}
PONG = {"pong": PLANTED}


def planted_url(url: str) -> str:
    """Return a URL that has a secret in userinfo, path and query."""
    authority = url.replace("://", f"://user-{PLANTED}:pw-{PLANTED}@")
    return f"{authority}/v2/{PLANTED}0123456789abcdef/ws?key={PLANTED}&{PLANTED}"


def planted_options(url: str) -> dict[str, Any]:
    """Return options that have a secret wherever there can be one."""
    return {
        "url_or_config": planted_url(url),
        "headers": {"Authorization": f"Bearer {PLANTED}", "X-Key": PLANTED},
        "subprotocols": [f"bearer.{PLANTED}"],
        "venue": venues.deribit(
            client_id=f"id-{PLANTED}", client_secret=PLANTED, session="trading"
        ),
        "heartbeat": ClientPing(message=PING, answer=PONG, interval=0.05),
        "limiter": SlidingWindow(1000, 1.0),
        "debug": True,
        **QUICK,
    }


def answer(text: Any) -> Any:
    """Do as a venue does that grants tokens; it answers pings, and calls by their method."""
    message = json.loads(text)
    if message.get("op") == "ping":
        return PONG
    method, own_id = message["method"], {"jsonrpc": "2.0", "id": message["id"]}
    if method == "silent":
        return None
    if method == "public/auth" and "refuse" in message["params"].get("client_id", ""):
        said = f"no such secret: {message['params']['client_secret']}"
        return {**own_id, "error": {"code": 13004, "message": said}}
    if method == "public/auth":
        granted = {"access_token": PLANTED, "refresh_token": PLANTED, "expires_in": 900}
        return {**own_id, "result": granted}
    if method == "wrong":
        return {**own_id, "error": {"code": 1, "message": "no"}}
    return {**own_id, "result": message["params"].get("channels", "done")}


class Run:
    """One run, and all that it showed."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def tell(self, *things: object) -> None:
        """Keep what things show of themselves."""
        self.shown += [f"{thing!r} {thing}" for thing in things]

    def tell_error(self, error: BaseException) -> None:
        """Keep what an error shows, and what is said about it."""
        self.shown.append(shown_by(error, __file__))
        self.tell(explain(error))

    def tell_client(self, client: Client) -> None:
        """Keep all that a client says about itself."""
        self.tell(client, client.config, client.url, client.get_state(), client.get_health())
        self.tell(client.get_state_metrics(), client.get_heartbeat_health())
        self.tell(client.get_subscriptions(), client.get_latency_stats())
        self.tell(*client.config.heartbeats(), client.config.venue, client.config.endpoint())

    async def use(self, client: Client) -> None:
        """Make requests with every outcome."""
        await client.subscribe(["book", "user.orders"])
        await client.request("echo", {"token": PLANTED})
        for method in ("wrong", "silent"):
            try:
                await client.request(method, {"token": PLANTED}, timeout=0.1)
            except WsfleetError as error:
                self.tell_error(error)
        self.tell_client(client)

    async def fail(self, server: MockServer, **more: Any) -> None:
        """Make a client that ends with an error."""
        options = {**planted_options(server.url), **more}
        with pytest.raises(Exception, match=r".") as caught:
            async with connect(**options) as client:
                await server.inject_message({"event": 1})
                await client.wait_connected()
                await anyio.sleep(30)
        self.tell_error(caught.value)


def crash(_: object) -> None:
    """Fail as handlers do."""
    raise LookupError("a handler's own words")


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Collect what is logged, with the errors that it is about."""
    shown: list[str] = []

    def keep(_: object, level: str, event: Any) -> Any:
        error = event.get("exc_info")
        if isinstance(error, BaseException):
            shown.append(shown_by(error, __file__))
        shown.append(f"{level} {event!r}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[keep], wrapper_class=structlog.BoundLogger)
    caplog.set_level(logging.DEBUG)
    yield shown
    structlog.configure(**before)


def by_others(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged through `logging`, but for the servers of this test."""
    kept = [r for r in caplog.records if "websockets.server" not in r.name]
    kept = [r for r in kept if not r.name.startswith("wsfleet.testing")]
    return [f"{r.getMessage()} {r.args!r} {r.exc_info!r}" for r in kept]


async def test_planted_secrets_are_nowhere(
    tmp_path: Path, logged: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """
    A client and a pool that go through everything, with secrets wherever there can be one, show
    none: in logs at level DEBUG, in what they say about themselves, in errors and their
    tracebacks, and in the header of a recording.
    """
    run, path = Run(), tmp_path / "session.jsonl"
    async with MockServer(answer) as server, MockServer(answer) as other:
        async with connect(
            **{**planted_options(server.url), "retry_count": None}, record_to=path
        ) as client:
            await run.use(client)
            await server.simulate_disconnect("reset")
            await server.wait_until(lambda: server.accepted == 2, timeout=30)
            await client.wait_connected()
            await run.use(client)
        run.shown += [line for line in path.read_text().splitlines() if '"recording"' in line]
        run.tell(recording.metadata(path))

        ping = ClientPing(message=PING, answer=PONG, interval=0.01, timeout=0.1)
        alone = {**planted_options(server.url), "heartbeat": ping, "reconnect_on_error": False}
        with pytest.raises(DisconnectedError) as lost:
            async with connect(**alone):
                await server.simulate_disconnect("freeze")  # the heartbeat finds that
                await anyio.sleep(30)
        run.tell_error(lost.value)

        for status in (401, 403, 429, 503):
            server.refuse(status=status, headers={"retry-after": PLANTED})
            await run.fail(server)
        for location in (planted_url(other.url), f"ftp://localhost/{PLANTED}"):
            server.refuse(status=302, headers={"location": location}, times=2)
            await run.fail(server, max_redirects=1)
            await run.fail(server)
        assert not other.requests
        forwarding = f"{other.url.replace('ws://', f'http://user:{PLANTED}@')}/"
        async with connect(**planted_options(server.url), proxy=forwarding) as client:
            await run.use(client)  # the mock takes what is meant for a proxy, too
        assert len(other.requests) == 1
        refused = venues.deribit(client_id=f"refuse-{PLANTED}", client_secret=PLANTED)
        await run.fail(server, venue=refused)
        await run.fail(server, handler=crash)
        await run.fail(server, proxy=server.url.replace("ws://", f"ftp://{PLANTED}@"))
        await run.fail(server, subprotocols=[f"not a token: {PLANTED}"])
        await run.fail(server, url_or_config=planted_url(server.url).replace("ws:", "wss:"))

        with pytest.raises(RestartLimitError) as caught:
            async with ClientSupervisor(max_restarts=0) as pool:
                await pool.start_client(**planted_options(server.url), name="good")
                await run_pool(run, pool, server)
        run.tell_error(caught.value)
        run.tell(ChildSpec(**planted_options(server.url)))
        await server.stop()
        await run.fail(server)
        proxy = server.url.replace("ws://", f"http://user:{PLANTED}@")
        await run.fail(server, proxy=proxy)

    run.tell(describe(), describe("Config"), describe("connect"))
    assert "recording" in "".join(run.shown)
    assert "client.crashed" in "".join(logged)
    assert "heartbeat.missed" in "".join(logged)
    for line in (*run.shown, *logged, *by_others(caplog)):
        assert PLANTED not in line


async def run_pool(run: Run, pool: ClientSupervisor, server: MockServer) -> None:
    """Send through a pool, fail over, and let a client of it crash."""
    await pool.request_balanced("echo", {"token": PLANTED})
    for send in (
        pool.request_balanced("wrong", {"token": PLANTED}),
        pool.send_balanced('{"op": "ping"}'),
    ):
        try:
            await send
        except WsfleetError as error:
            run.tell_error(error)
    run.tell(pool, *pool.pool_health(), *pool.list_clients())
    server.refuse(status=401)
    try:
        await pool.start_client(**planted_options(server.url), name="refused")
    except WsfleetError as error:
        run.tell_error(error)
    with suppress(WsfleetError):
        await pool.start_client(**planted_options(server.url), name="bad", handler=crash)
    await server.inject_message({"event": 1})
    await anyio.sleep(30)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("is_good", [True, False], ids=["good", "bad usage"])
async def test_the_command_shows_no_planted_secrets(is_good: bool) -> None:
    """
    The command shows no secret that it was given, whether it connects, is refused, or is used
    wrongly.
    """
    header = f"X-Key: {PLANTED}" if is_good else f"X-Key {PLANTED}"
    options = ["--header", header, "--subprotocol", f"bearer.{PLANTED}"]
    line = json.dumps({"id": 1, "method": "wrong", "params": {"token": PLANTED}})
    async with MockServer(answer) as server, MockServer() as other:
        other.refuse(status=401, times=99)
        urls = [planted_url(server.url), planted_url(other.url)]
        command = [sys.executable, "-m", "wsfleet", "connect", *urls, *options]
        done = await anyio.run_process(command, input=line.encode(), check=False)

    said = (done.stdout + done.stderr).decode()
    assert done.returncode == (0 if is_good else 2), said
    assert ("answered 401" in said) is is_good
    assert PLANTED not in said
