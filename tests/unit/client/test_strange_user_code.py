"""What becomes of a client whose user code cancels its own task, or raises strange objects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.fakes import FakeNetwork
from wsfleet import ChildSpec, Client, ClientSupervisor, connect
from wsfleet._client.user_code import crash_of, raised_by_user
from wsfleet._wire.loops import in_task, on_asyncio
from wsfleet.errors import StrayCancellationError

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

pytestmark = pytest.mark.anyio
URL = "ws://fake/"
PLACES = ["handler", "on_connect", "on_disconnect", "heartbeat", "connect_limiter"]
SYNC_PLACES = ["sync on_connect", "sync on_disconnect"]


class Code:
    """Async user code of every kind, which does one thing until it is told to stop."""

    counts_control = False

    def __init__(self, do: Callable[[], object]) -> None:
        self.do: Callable[[], object] | None = do

    async def call(self, *_: Any) -> None:
        """Be a handler or a callback."""
        await anyio.sleep(0.1)
        if self.do is not None:
            self.do()
        await anyio.sleep(0.1)

    acquire = call

    def acquire_nowait(self, *_: Any) -> None:
        """Let all messages pass."""

    spend = status = acquire_nowait

    async def run(self, _: Any) -> None:
        """Be a heartbeat."""
        await self.call()
        await anyio.sleep_forever()

    def now(self, *_: Any) -> None:
        """Be a sync callback."""
        if self.do is not None:
            self.do()

    def options(self, place: str) -> dict[str, Any]:
        """Return the options of a client with it in one place."""
        if place.startswith("sync "):
            return {place.removeprefix("sync "): self.now}
        return {place: self if place in {"heartbeat", "connect_limiter"} else self.call}


def cancel_own_task() -> None:
    """Do what nobody should do in a handler."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


def leave_generator() -> None:
    """Raise what Python raises in coroutines that are closed."""
    raise GeneratorExit


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


@pytest.mark.parametrize("place", [*PLACES, *SYNC_PLACES])
@pytest.mark.parametrize("do", [cancel_own_task, leave_generator])
async def test_user_code_that_cancels_its_own_task_is_that_clients_crash(
    network: FakeNetwork,
    place: str,
    do: Callable[[], object],
    log_entries: list[MutableMapping[str, Any]],
) -> None:
    """It ends neither its client without a word nor the pool; the client is restarted."""
    if place in SYNC_PLACES and do is leave_generator:
        pytest.skip("told from errors of callbacks elsewhere")
    if do is cancel_own_task and not on_asyncio():
        pytest.skip("only a task of asyncio can be cancelled from within")
    code = Code(do)
    children = [
        ChildSpec("ws://other/", name="other"),
        ChildSpec(URL, name="odd", close_timeout=0.5, retry_delay=0.1, **code.options(place)),
    ]
    async with ClientSupervisor(children, opener=network) as pool:
        await provoke(network)
        crashes = [e for e in log_entries if e["event"] == "client.crashed"]
        assert crashes
        assert {e["client"] for e in crashes} == {"odd"}
        assert isinstance(crashes[0]["exc_info"], StrayCancellationError)
        code.do = None
        await anyio.sleep(60)
        states = [(row.name, row.state) for row in pool.pool_health()]
        assert states == [("other", "connected"), ("odd", "connected")]


@pytest.mark.parametrize("place", [*PLACES, *SYNC_PLACES])
async def test_connect_raises_it_as_a_typed_error(network: FakeNetwork, place: str) -> None:
    """A lone client whose user code cancels its own task says so."""
    if not on_asyncio():
        pytest.skip("only a task of asyncio can be cancelled from within")
    options = Code(cancel_own_task).options(place)
    with pytest.raises(StrayCancellationError):
        async with connect(URL, opener=network, close_timeout=0.5, retry_delay=0.1, **options):
            await provoke(network)
            await anyio.sleep(60)
            pytest.fail("the block went on")


@pytest.mark.parametrize("place", PLACES)
def test_a_program_that_cancels_all_of_its_tasks_has_no_crash(
    place: str, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """Cancelling `asyncio.all_tasks()` ends a pool, and is no crash of its clients."""

    async def wait(*_: Any) -> None:
        await asyncio.get_running_loop().create_future()

    class Waiting:
        counts_control = False
        acquire = run = acquire_nowait = spend = status = staticmethod(wait)

    is_object = place in {"heartbeat", "connect_limiter"}
    options: dict[str, Any] = {place: Waiting() if is_object else wait}

    async def main() -> None:
        network = FakeNetwork()
        client = Client(URL, opener=network, close_timeout=0.1, **options)
        task = asyncio.create_task(client.run())
        await asyncio.sleep(0.05)
        if place == "handler":
            network.server(URL).link.send({"n": 1})
        await asyncio.sleep(0.05)
        for each in asyncio.all_tasks() - {asyncio.current_task()}:
            each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert not [e for e in log_entries if e["event"] == "client.crashed"]


@pytest.mark.parametrize("kind", ["pool", "connect"])
def test_a_program_that_cancels_all_of_its_tasks_ends_its_blocks(
    kind: str, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """The cancellation comes out of the block, and no client has crashed or is restarted."""

    async def block(network: FakeNetwork) -> None:
        if kind == "connect":
            async with connect(URL, opener=network, close_timeout=0.1):
                await asyncio.sleep(60)
        else:
            children = [ChildSpec(URL, close_timeout=0.1, name=str(n)) for n in range(20)]
            async with ClientSupervisor(children, opener=network):
                await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(block(FakeNetwork()))
        await asyncio.sleep(0.1)
        for each in asyncio.all_tasks() - {asyncio.current_task()}:
            each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    events = {e["event"] for e in log_entries}
    assert "client.closed" in events
    assert not events & {"client.crashed", "supervisor.child_restarting"}


class NoAttributes(Exception):  # noqa: N818 - an error like no other
    """An error of which nothing can be asked."""

    def __getattribute__(self, name: str) -> Any:
        raise LookupError(name)

    def __setattr__(self, name: str, value: object) -> None:
        raise LookupError(name)


class NoMethods(BaseExceptionGroup[BaseException]):
    """A group that cannot be split."""

    def derive(self, *_: Any) -> Any:
        """Fail."""
        raise LookupError

    split = derive


def test_an_error_of_which_nothing_can_be_asked_is_a_crash_all_the_same() -> None:
    """The guard around user code calls no method of what user code raised."""
    error = NoAttributes()
    assert crash_of(error, len, is_sync=True) is error
    assert raised_by_user(error)
    inner = ValueError()
    found = crash_of(NoMethods("", [asyncio.CancelledError(), inner]), len, is_sync=True)
    assert isinstance(found, ExceptionGroup)
    assert found.exceptions == (inner,)


@pytest.mark.parametrize("kind", [LookupError, SystemExit, asyncio.CancelledError])
async def test_a_property_that_raises_is_a_crash(
    network: FakeNetwork, kind: type[BaseException]
) -> None:
    """A heartbeat whose `run` is a property that fails ends its client like one that raises."""

    class Odd:
        ready = False

        @property
        def run(self) -> Any:
            if self.ready:
                raise kind
            return anyio.sleep

    odd: Any = Odd()
    client = Client(URL, opener=network, close_timeout=0.5, heartbeat=odd)
    odd.ready = True
    expected = StrayCancellationError if kind is asyncio.CancelledError else kind
    if kind is asyncio.CancelledError and not on_asyncio():
        pytest.skip("trio cancels with an error of its own")
    with pytest.raises(expected):
        await client.run()
    assert not network.server(URL).open


class NoRepr(Exception):  # noqa: N818 - as above
    """An error that cannot be shown."""

    def __repr__(self) -> str:
        raise LookupError

    __str__ = __repr__


async def test_an_error_that_cannot_be_shown_comes_out_of_connect(network: FakeNetwork) -> None:
    """It ends no event loop, not even before the first connection."""
    error = NoRepr()

    def fail() -> None:
        raise error

    for place in ("connect_limiter", "handler"):
        with pytest.raises(NoRepr) as caught:
            async with connect(URL, opener=network, **Code(fail).options(place)):
                await provoke(network)
                await anyio.sleep(60)
        assert caught.value is error


def test_code_outside_of_event_loops_is_in_no_task() -> None:
    """A coroutine that is closed after the end of its loop is told from a cancelled one."""
    assert not in_task()


async def test_a_coroutine_that_is_closed_is_none_of_user_code() -> None:
    """Within a task, it is user code that raised."""
    assert in_task()
    assert isinstance(crash_of(GeneratorExit(), len), StrayCancellationError)
