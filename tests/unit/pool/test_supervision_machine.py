"""
Random lives of a pool, with a fault at every step: of servers, of user code, and of the log.

A model that knows only what was done to the pool says which clients there must be, which of
them can be sent through, and how often each was started again.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest
import structlog
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.fakes import FakeNetwork
from wsfleet import Client, ClientSupervisor
from wsfleet._client.states import Phase, Step
from wsfleet._wire.loops import on_asyncio
from wsfleet.errors import (
    ConnectRefusedError,
    ConnectTimeoutError,
    NotConnectedError,
    WsfleetError,
)
from wsfleet.testing.virtual_time import virtual_backends

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from wsfleet._wire.connection import Connection, Sink
    from wsfleet._wire.opening import Endpoint

NAMES: Final = "abc"
SETTLE: Final = 0.0137
"""
Seconds after which the pool is looked at; no sum of them meets a timer of the pool, at whose
moment some tasks have run and others have not.
"""
FOLLOWERS: Final = {
    None: {Step.CONNECT},
    Step.CONNECT: {Step.OPEN, Step.SCHEDULE, Step.CLOSE, Step.CRASH},
    Step.OPEN: {Step.LOSE},
    Step.LOSE: {Step.CONNECT, Step.SCHEDULE, Step.CLOSE, Step.CRASH},
    Step.SCHEDULE: {Step.CONNECT, Step.CLOSE, Step.CRASH},
    Step.CLOSE: {Step.CONNECT, Step.CLOSE},
    Step.CRASH: {Step.CONNECT, Step.CLOSE},
}
"""What may follow on a step, written down by hand: the table of the code is what is tested."""


class Exit(SystemExit):
    """What user code of this test ends the program with."""


def raised(mood: str) -> BaseException:
    """Return what user code in that mood raises."""
    if mood == "raise":
        return LookupError()
    if mood == "exit":
        return Exit(3)
    return (
        asyncio.CancelledError() if on_asyncio() else trio.Cancelled._create(source="unknown")
    )


class UserCode:
    """All user code of one client; each kind has a mood, and raises unless that is good."""

    counts_control = True

    def __init__(self) -> None:
        self.moods: dict[str, str] = {}

    def act(self, kind: str) -> None:
        """Raise, once, if that kind of code is to."""
        mood = self.moods.pop(kind, "")
        if mood:
            raise raised(mood)

    def handle(self, _: object) -> None:
        """Be the handler."""
        self.act("handler")

    def on_connect(self, _: object) -> None:
        """Be told of a connection gained."""
        self.act("on_connect")

    def on_disconnect(self, _: object) -> None:
        """Be told of a connection lost."""
        self.act("on_disconnect")

    async def run(self, pulse: Any) -> None:
        """Be the heartbeat."""
        while True:
            self.act("heartbeat")
            await anyio.sleep(0.2)
            if await pulse.ping(5.0) is None:
                return

    async def acquire(self, *_: Any) -> None:
        """Be the limiter of attempts to connect, and of messages."""
        await anyio.lowlevel.checkpoint()
        self.act("limiter")

    def acquire_nowait(self, *_: Any) -> None:
        """Let a message pass."""

    def spend(self, *_: Any) -> None:
        """Count a ping."""
        self.act("spend")

    def status(self) -> Any:
        """Tell nothing."""


SERVER_STEPS: Final = {"message", "drop", "refuse", "die", "heal", "close", "hang"}
KINDS: Final = ("handler", "on_connect", "on_disconnect", "heartbeat", "limiter", "spend")


class Machine:
    """A pool, its servers, and what must be true of them."""

    def __init__(self, tasks: anyio.abc.TaskGroup) -> None:
        self.network = FakeNetwork()
        self.tasks = tasks
        self.pool = ClientSupervisor(opener=self.open, max_restarts=10**6, max_seconds=1.0)
        self.clients: dict[str, Client] = {}
        self.code: dict[str, UserCode] = {}
        self.steps: dict[str, list[Step]] = {}
        self.stopped: set[str] = set()
        self.waiting = 0
        self.scopes: list[anyio.CancelScope] = []
        self.log_mood = ""
        for name in NAMES:
            self.network.server(self.url(name)).answer = self.answer

    async def open(self, endpoint: Endpoint, sink: Sink) -> Connection:
        """Be the opener: a server that hangs is given up."""
        try:
            with anyio.fail_after(2.0):
                return await self.network(endpoint, sink)
        except TimeoutError:
            raise ConnectTimeoutError(endpoint.url, "hangs") from None

    @staticmethod
    def url(name: str) -> str:
        return f"ws://{name}/"

    @staticmethod
    def answer(request: dict[str, Any]) -> Any:
        return request["params"]["channels"] if "params" in request else "yes"

    def log(self, _: Any, __: str, event: MutableMapping[str, Any]) -> Any:
        """Be the only log processor; no event says that there is a bug of ours."""
        error = event.get("exc_info")
        assert not isinstance(error, RuntimeError | AssertionError), error
        if self.log_mood:
            mood = self.log_mood
            if mood == "exit":
                self.log_mood = ""
            raise raised(mood)
        raise structlog.DropEvent

    # what is done

    async def do(self, what: str, name: str, argument: Any) -> None:
        """Do one step, and let the pool settle."""
        if what == "start":
            await self.start(name)
        elif what == "advance":
            await anyio.sleep(argument)
        elif what == "log":
            self.log_mood = argument
        elif what == "cancel":
            if self.scopes:
                self.scopes.pop(argument % len(self.scopes)).cancel()
        elif what == "mood":
            if name in self.code:
                self.code[name].moods[argument[0]] = argument[1]
        elif what in SERVER_STEPS:
            self.do_at_server(what, name, argument)
        elif name in self.clients:
            self.call(what, self.clients[name])
        await anyio.sleep(SETTLE)

    def do_at_server(self, what: str, name: str, argument: Any) -> None:
        server = self.network.server(self.url(name))
        if what == "refuse":
            server.refuse(ConnectRefusedError(self.url(name), "refused"))
        elif what == "die":
            server.die()
        elif what == "hang":
            server.hang = argument
        elif what == "heal":
            self.heal(name)
        elif not server.open:
            return
        elif what == "drop":
            server.link.drop()
        elif what == "close":
            server.link.close(argument, "by the test")
        elif what == "message":
            server.link.send({"n": 1})

    def heal(self, name: str) -> None:
        server = self.network.server(self.url(name))
        server.down = server.hang = False
        server.refusals.clear()

    async def start(self, name: str) -> None:
        if name in self.clients:
            return
        code = self.code[name] = UserCode()
        self.steps[name] = []
        self.stopped.discard(name)
        with anyio.move_on_after(0.05):
            await self.pool.start_client(
                self.url(name),
                name=name,
                restart="permanent",
                shutdown=2.0,
                handler=code.handle,
                on_connect=code.on_connect,
                on_disconnect=code.on_disconnect,
                heartbeat=code,
                limiter=code,
                connect_limiter=code,
                retry_delay=0.1,
                max_backoff=1.0,
                retry_count=None,
                close_timeout=1.0,
                request_timeout=3.0,
            )
        await anyio.sleep(3.0)  # a start that was cancelled says goodbye
        for client in self.pool.list_clients():
            if client.name == name:
                self.follow(client)

    def follow(self, client: Client) -> None:
        self.clients[client.name] = client
        steps = self.steps[client.name]
        if client.get_state() == "connected":
            steps += [Step.CONNECT, Step.OPEN]
        client.life.watchers.append(steps.append)

    def call(self, what: str, client: Client) -> None:
        calls: dict[str, Callable[[], Any]] = {
            "stop": lambda: self.pool.stop_client(client),
            "request": lambda: client.request("m"),
            "send": lambda: client.send_message("x"),
            "balanced": lambda: self.pool.request_balanced("m"),
            "subscribe": lambda: client.subscribe(["one", "two"]),
            "unsubscribe": lambda: client.unsubscribe(["one"]),
            "reconnect": client.reconnect,
            "wait": client.wait_connected,
        }
        if what == "stop":
            self.stopped.add(client.name)
        scope = anyio.CancelScope()
        if what != "stop":
            self.scopes.append(scope)
        self.waiting += 1
        self.tasks.start_soon(self.wait, calls[what], scope)

    async def wait(self, call: Callable[[], Any], scope: anyio.CancelScope) -> None:
        with scope, suppress(WsfleetError, LookupError):
            await call()
        self.waiting -= 1

    # what must be true

    def check(self) -> None:
        """Hold the pool against what was done to it."""
        for name in self.stopped:
            if self.clients.get(name) not in self.pool.list_clients():
                self.clients.pop(name, None)
        listed = self.pool.list_clients()
        names = [client.name for client in listed]
        assert sorted(names) == sorted(self.clients), "a child was lost, or is there twice"
        for client in listed:
            self.check_client(client)

    def check_client(self, client: Client) -> None:
        steps: list[Any] = [None, *self.steps[client.name]]
        for before, step in pairwise(steps):
            assert step in FOLLOWERS[before], f"{step} after {before}"
        links = self.network.server(client.config.url).open
        assert len(links) <= 1, "a client has two connections"
        ready = client in self.pool._ready.clients
        assert ready == (client.get_state() == "connected") == self.can_send(client)
        assert ready <= bool(links)
        ends = sum(step in {Step.CRASH, Step.CLOSE} for step in steps)
        row = next(row for row in self.pool.pool_health() if row.name == client.name)
        if client.name not in self.stopped:
            assert row.restarts == ends, "restarts are counted wrongly"
        assert (row.state == "connected") == ready

    @staticmethod
    def can_send(client: Client) -> bool:
        try:
            client.send_nowait("x")
        except NotConnectedError:
            return False
        return True


NAME = st.sampled_from(NAMES)
STEPS = st.one_of(
    st.tuples(st.just("start"), NAME, st.none()),
    st.tuples(
        st.just("mood"),
        NAME,
        st.tuples(st.sampled_from(KINDS), st.sampled_from(["raise", "stray"])),
    ),
    st.tuples(st.sampled_from(["message", "drop", "refuse", "die", "heal"]), NAME, st.none()),
    st.tuples(st.just("close"), NAME, st.sampled_from([1000, 1001, 1012])),
    st.tuples(st.just("hang"), NAME, st.booleans()),
    st.tuples(
        st.sampled_from(
            [
                "stop",
                "request",
                "send",
                "balanced",
                "subscribe",
                "unsubscribe",
                "reconnect",
                "wait",
            ]
        ),
        NAME,
        st.none(),
    ),
    st.tuples(st.just("cancel"), NAME, st.integers(0, 5)),
    st.tuples(st.just("log"), NAME, st.sampled_from(["", "raise", "stray"])),
    st.tuples(st.just("advance"), NAME, st.sampled_from([0.0, 0.1, 1.0, 5.0, 40.0])),
)
EXITS = st.sampled_from([None, "handler", "heartbeat", "on_connect", "on_disconnect", "log"])


async def live(script: list[Any], exits: str | None) -> None:
    """Play a script, and hold the pool against the model after each of its steps."""
    async with anyio.create_task_group() as tasks:
        machine = Machine(tasks)
        structlog.configure(processors=[machine.log])
        try:
            if exits is None:
                await play(machine, script)
            else:
                with pytest.raises(Exit):
                    await play(machine, script, exits)
        finally:
            structlog.reset_defaults()
        await anyio.sleep(10)
        assert not machine.waiting, "a caller hangs"
        assert not machine.pool.list_clients()
        assert not machine.pool._ready.clients
        for server in machine.network.servers.values():
            assert not server.open, "a socket stays open"
        for client in machine.clients.values():
            assert client.life.phase in {Phase.CLOSED, Phase.CRASHED}
            assert not client.pending


async def play(machine: Machine, script: list[Any], exits: str | None = None) -> None:
    """Run the pool through a script; then all is well again, or user code ends the program."""
    async with machine.pool:
        await machine.start("a")
        for what, name, argument in script:
            await machine.do(what, name, argument)
            machine.check()
        machine.log_mood = ""
        machine.scopes.clear()
        for name in NAMES:
            machine.heal(name)
            if name in machine.code:
                machine.code[name].moods.clear()
        await anyio.sleep(100)
        machine.check()
        assert not machine.waiting, "a caller hangs while all is well"
        for client in machine.pool.list_clients():
            assert client.get_state() == "connected", "a client did not come back"
        if exits is not None:
            await end_program(machine, exits)


async def end_program(machine: Machine, exits: str) -> None:
    """Have user code of the first client raise `SystemExit`."""
    await machine.start("b")
    if exits == "log":
        machine.log_mood = "exit"
    else:
        machine.code["b"].moods[exits] = "exit"
    await machine.do("message", "b", None)
    await machine.do("drop", "b", None)
    await anyio.sleep(100)
    pytest.fail("the block went on")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(max_examples=30)
@given(script=st.lists(STEPS, min_size=5, max_size=25), exits=EXITS)
def test_a_pool_lives_through_everything(
    backend: str, script: list[Any], exits: str | None
) -> None:
    """
    Whatever servers, users and user code do: each client goes from state to state as it should,
    the pool knows who can be sent through, loses no client and has none twice, counts restarts
    rightly, and no caller hangs.
    """
    name, options = virtual_backends()[backend]

    async def run() -> None:
        await live(script, exits)

    anyio.run(run, backend=name, backend_options=options)
