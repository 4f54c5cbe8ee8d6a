"""What becomes of a client whose user code cancels itself, or ends the program."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog
import trio

from tests.unit.fakes import FakeNetwork
from wsfleet import ChildSpec, Client, ClientSupervisor, connect
from wsfleet._client.user_code import crash_of
from wsfleet._wire.loops import on_asyncio
from wsfleet.errors import NotConnectedError, StrayCancellationError

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

pytestmark = pytest.mark.anyio
URL = "ws://fake/"


def cancelled() -> BaseException:
    """Return a cancellation of the running event loop that cancels nothing."""
    if on_asyncio():
        return asyncio.CancelledError()
    return trio.Cancelled._create(source="unknown")


class Raiser:
    """User code of every kind; each raises what `make` makes, nothing while that is None."""

    counts_control = True

    def __init__(self, make: Callable[[], BaseException]) -> None:
        self.make: Callable[[], BaseException] | None = make

    def call(self, *_: Any) -> None:
        """Be a sync handler or callback."""
        if self.make is not None:
            raise self.make()

    async def await_(self, *_: Any) -> None:
        """Be an async handler or callback."""
        await anyio.sleep(0.1)
        self.call()

    async def acquire(self, *_: Any) -> None:
        """Be the limiter of attempts to connect."""
        self.call()

    def acquire_nowait(self, *_: Any) -> None:
        """Let all messages pass."""

    def spend(self, *_: Any) -> None:
        """Be the limiter that counts pings."""
        self.call()

    def status(self) -> Any:
        """Tell nothing."""

    async def run(self, _: Any) -> None:
        """Be a heartbeat."""
        await anyio.sleep(0.1)
        self.call()
        await anyio.sleep_forever()


class Lenient(Raiser):
    """A limiter that lets all messages pass, and counts pings."""

    async def acquire(self, *_: Any) -> None:
        """Let it pass."""


def options(place: str, make: Callable[[], BaseException]) -> tuple[dict[str, Any], Raiser]:
    """Return the options of a client with user code in one place that raises."""
    code = Lenient(make) if place == "spend" else Raiser(make)
    every: dict[str, dict[str, Any]] = {
        "handler": {"handler": code.call},
        "async handler": {"handler": code.await_},
        "on_connect": {"on_connect": code.call},
        "async on_connect": {"on_connect": code.await_},
        "on_disconnect": {"on_disconnect": code.call},
        "async on_disconnect": {"on_disconnect": code.await_},
        "heartbeat": {"heartbeat": code},
        "connect_limiter": {"connect_limiter": code},
        "spend": {"limiter": code, "heartbeat_interval": 0.1},
    }
    return every[place], code


PLACES = [
    "handler",
    "async handler",
    "on_connect",
    "async on_connect",
    "on_disconnect",
    "async on_disconnect",
    "heartbeat",
    "connect_limiter",
    "spend",
]
EXITS = [SystemExit, KeyboardInterrupt]


async def provoke(network: FakeNetwork) -> None:
    """Have a message come, and the connection be lost."""
    server = network.server(URL)
    for _ in range(3):
        await anyio.sleep(0.5)
        if server.open:
            server.link.send({"n": 1})
            await anyio.sleep(0.5)
        if server.open:
            server.link.drop()


@pytest.mark.parametrize("place", PLACES)
async def test_a_cancellation_that_nobody_asked_for_is_that_clients_crash(
    network: FakeNetwork, place: str, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """
    User code that awaits something cancelled ends its own client with a typed error; the pool
    logs it and starts the client again, and its other clients and its block go on.
    """
    found, code = options(place, cancelled)
    children = [
        ChildSpec("ws://other/", name="other"),
        ChildSpec(URL, name="odd", close_timeout=0.5, retry_delay=0.1, **found),
    ]
    async with ClientSupervisor(children, opener=network) as pool:
        await provoke(network)
        crashes = [e for e in log_entries if e["event"] == "client.crashed"]
        assert crashes
        assert {e["client"] for e in crashes} == {"odd"}
        error = crashes[0]["exc_info"]
        assert isinstance(error, StrayCancellationError)
        assert error.__cause__ is not None
        code.make = None
        await anyio.sleep(60)
        await pool.wait_connected(2)
        assert [(row.name, row.state) for row in pool.pool_health()] == [
            ("other", "connected"),
            ("odd", "connected"),
        ]
        assert pool.pool_health()[0].restarts == 0


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", EXITS)
async def test_what_ends_the_program_comes_out_of_connect(
    network: FakeNetwork, place: str, kind: type[BaseException]
) -> None:
    """`SystemExit` and `KeyboardInterrupt` come out as they are, and no socket stays open."""
    raised = kind(3)
    found, _ = options(place, lambda: raised)
    with pytest.raises(kind) as caught:
        async with connect(
            URL, opener=network, close_timeout=0.5, retry_delay=0.1, **found
        ) as client:
            await provoke(network)
            await anyio.sleep(60)
            pytest.fail(f"the block went on, and the client is {client}")
    assert caught.value is raised
    assert not network.server(URL).open


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", EXITS)
async def test_what_ends_the_program_comes_out_of_a_pool(
    network: FakeNetwork, place: str, kind: type[BaseException]
) -> None:
    """It comes out of the supervisor's block, after all clients were stopped in order."""
    raised = kind(3)
    found, _ = options(place, lambda: raised)
    other = network.server("ws://other/")
    pool = ClientSupervisor(
        [
            ChildSpec("ws://other/", name="other"),
            ChildSpec(URL, name="odd", close_timeout=0.5, retry_delay=0.1, **found),
        ],
        opener=network,
    )
    with pytest.raises(kind) as caught:
        async with pool:
            await provoke(network)
            await anyio.sleep(60)
            pytest.fail("the block went on")
    assert caught.value is raised
    assert not network.server(URL).open
    assert other.link.goodbye is not None
    assert not pool.list_clients()


@pytest.mark.parametrize("place", PLACES)
async def test_what_ends_the_program_comes_out_of_run(
    network: FakeNetwork, place: str, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """The task that runs a client gets it as it is; the client is closed, and no crash."""
    raised = SystemExit(3)
    found, _ = options(place, lambda: raised)
    client = Client(URL, opener=network, close_timeout=0.5, retry_delay=0.1, **found)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(provoke, network)
        with pytest.raises(SystemExit) as caught:
            await client.run()
        tasks.cancel_scope.cancel()
    assert caught.value is raised
    assert client.get_state() == "disconnected"
    assert not network.server(URL).open
    events = [e["event"] for e in log_entries]
    assert events[-1] == "client.closed"
    assert "client.crashed" not in events


async def test_a_start_that_ends_the_program_leaves_no_child(network: FakeNetwork) -> None:
    """`start_client` of a client whose limiter exits does not hang, and the pool ends."""
    found, _ = options("connect_limiter", lambda: SystemExit(3))
    with pytest.raises(SystemExit):
        async with ClientSupervisor(opener=network) as pool:
            with pytest.raises((NotConnectedError, anyio.get_cancelled_exc_class())):
                await pool.start_client(URL, **found)
            await anyio.sleep(60)


async def test_an_exit_of_the_block_comes_out_as_it_is(network: FakeNetwork) -> None:
    """`sys.exit()` in a block is not wrapped into a group."""
    for block in (connect(URL, opener=network), ClientSupervisor(opener=network)):
        with pytest.raises(SystemExit):
            async with block:
                raise SystemExit(3)


@pytest.mark.parametrize("place", PLACES)
async def test_a_cancellation_that_was_asked_for_is_none_of_user_code(
    network: FakeNetwork, place: str, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A client that is cancelled while its user code waits has not crashed."""

    async def wait(*_: Any) -> None:
        await anyio.sleep_forever()

    found, code = options(place, cancelled)
    code.make = None
    if "async" in place:
        found = dict.fromkeys(found, wait)
    client = Client(URL, opener=network, close_timeout=0.5, **found)
    with anyio.move_on_after(1) as scope:
        async with anyio.create_task_group() as tasks:
            await tasks.start(client.run)
            network.server(URL).link.send({"n": 1})
    assert scope.cancelled_caught
    assert not [e for e in log_entries if e["event"] == "client.crashed"]


@pytest.mark.parametrize("where", ["discovery", "async discovery", "candidate", "health"])
async def test_a_discovery_that_cancels_itself_tells_its_caller(
    network: FakeNetwork, where: str
) -> None:
    """What a discovery or a candidate lets out comes out of the call; the caller goes on."""

    class Odd:
        name = "odd"

        def get_state(self) -> str:
            return "connected"

        def get_health(self) -> float:
            if where == "health":
                raise cancelled()
            return 100.0

        async def send_message(self, _: Any, /) -> Any:
            raise cancelled()

    def discovery() -> Any:
        if where == "discovery":
            raise cancelled()
        return [Odd()]

    async def async_discovery() -> Any:
        raise cancelled()

    found: Any = async_discovery if where == "async discovery" else discovery
    async with ClientSupervisor(opener=network) as pool:
        with pytest.raises(StrayCancellationError):
            await pool.send_balanced("x", client_discovery=found)
        await anyio.sleep(1)
        with anyio.move_on_after(1) as scope:
            await pool.send_balanced("x", client_discovery=anyio.sleep_forever)  # type: ignore[arg-type]
        assert scope.cancelled_caught


@pytest.mark.parametrize("wait", [True, False])
async def test_a_limiter_that_cancels_itself_tells_its_caller(
    network: FakeNetwork, wait: bool
) -> None:
    """In a message of a user's own, the error of a limiter is that user's, and no crash."""

    class Odd(Raiser):
        def acquire_nowait(self, *_: Any) -> None:
            self.call()

    limiter: Any = Odd(cancelled)
    async with connect(URL, opener=network, limiter=limiter, heartbeat=None) as client:
        with pytest.raises(StrayCancellationError):
            if wait:
                await client.send_message("x")
            else:
                client.send_nowait("x")
        assert client.get_state() == "connected"


@pytest.mark.parametrize("how", ["cancel", "timeout", "wait_for"])
def test_every_real_cancellation_of_asyncio_is_asked_for(how: str) -> None:
    """`task.cancel()`, `asyncio.timeout` and `wait_for` around a client are no crash of it."""

    async def main() -> None:
        network = FakeNetwork()
        client = Client(URL, opener=network, heartbeat=Waiting(), close_timeout=0.1)
        if how == "cancel":
            task = asyncio.create_task(client.run())
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        elif how == "timeout":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.run()
        else:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.run(), 0.05)
        assert client.life.phase.value == "closed"

    asyncio.run(main())


class Waiting:
    """A heartbeat that is cancelled wherever its client is."""

    async def run(self, _: Any) -> None:
        """Wait as code that knows no anyio does."""
        await asyncio.get_running_loop().create_future()


async def test_code_that_awaits_nothing_cannot_be_cancelled() -> None:
    """A cancellation out of a sync function is stray also while its task is cancelled."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        assert isinstance(crash_of(cancelled(), len, is_sync=True), StrayCancellationError)
        with pytest.raises(anyio.get_cancelled_exc_class()):
            crash_of(cancelled(), len)
        with pytest.raises(anyio.get_cancelled_exc_class()):
            await anyio.sleep(1)
    assert isinstance(crash_of(cancelled(), len), StrayCancellationError)


async def test_what_a_group_holds_decides() -> None:
    """A task group of the user's is unpacked: an exit comes first, then errors."""
    exits, bad = SystemExit(1), ValueError()
    group = BaseExceptionGroup("", [bad, BaseExceptionGroup("", [cancelled(), exits])])
    assert crash_of(group, len) is exits
    found = crash_of(BaseExceptionGroup("", [bad, cancelled()]), len)
    assert isinstance(found, ExceptionGroup)
    assert found.exceptions == (bad,)
    found = crash_of(BaseExceptionGroup("", [cancelled()]), len)
    assert isinstance(found, StrayCancellationError)


@pytest.mark.parametrize("raised", [LookupError, "cancelled"])
async def test_a_log_processor_that_raises_harms_nothing(
    network: FakeNetwork, raised: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clients and pools live through it, and what it raised is printed once."""

    def fail(*_: Any) -> Any:
        raise cancelled() if raised == "cancelled" else raised

    structlog.configure(processors=[fail])
    try:
        async with ClientSupervisor(
            [ChildSpec(URL, name="a", retry_delay=0.1, on_connect=Raiser(LookupError).call)],
            opener=network,
        ) as pool:
            network.server(URL).answer = lambda _: "yes"
            network.server(URL).link.drop()
            await pool.wait_connected()
            await anyio.sleep(1)
            assert await pool.request_balanced("m") == "yes"
    finally:
        structlog.reset_defaults()
    assert capsys.readouterr().err.count("a log processor failed") <= 1


async def test_a_log_processor_can_end_the_program(network: FakeNetwork) -> None:
    """`SystemExit` of a processor comes out of the block, like that of any user code."""
    for event in ("client.connected", "client.disconnected", "client.closed"):

        def exits(_: Any, __: Any, found: Any, event: str = event) -> Any:
            if found["event"] == event:
                raise SystemExit(3)
            raise structlog.DropEvent

        structlog.configure(processors=[exits])
        try:
            with pytest.raises(SystemExit):
                async with ClientSupervisor([ChildSpec(URL)], opener=network):
                    network.server(URL).link.drop()
                    await anyio.sleep(1)
            assert not network.server(URL).open
        finally:
            structlog.reset_defaults()


async def test_an_opener_that_cancels_itself_is_a_crash(network: FakeNetwork) -> None:
    """An opener, or an HTTP client, of a user's own is user code like any other."""
    network.server(URL).refuse(cancelled())  # type: ignore[arg-type]
    with pytest.raises(StrayCancellationError):
        async with connect(URL, opener=network):
            pytest.fail("it never connected")
    network.server(URL).refuse(SystemExit(3))  # type: ignore[arg-type]
    with pytest.raises(SystemExit):
        async with ClientSupervisor([ChildSpec(URL)], opener=network):
            await anyio.sleep(60)
            pytest.fail("the block went on")


async def test_an_opener_that_opens_nothing_is_a_crash() -> None:
    """It is told at once; it would be asked again and again for ever."""

    async def opens_nothing(*_: Any) -> Any:
        return None

    with pytest.raises(TypeError, match="opener"):
        async with connect(URL, opener=opens_nothing):
            pytest.fail("it never connected")


async def test_a_task_status_that_raises_ends_the_client(network: FakeNetwork) -> None:
    """What `run` tells of its start is user code, too; the connection is closed."""
    for kind in (LookupError, SystemExit):

        class Status:
            def started(self, _: Client, kind: type[BaseException] = kind) -> None:
                raise kind

        client = Client(URL, opener=network, close_timeout=0.5)
        with pytest.raises(kind):
            await client.run(task_status=Status())
        assert client.get_state() == "disconnected"
        assert not client.life.alive
        assert not network.server(URL).open
