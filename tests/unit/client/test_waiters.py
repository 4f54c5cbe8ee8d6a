from __future__ import annotations

import asyncio
import gc
import sys
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.conftest import needs_uvloop
from wsfleet._client import speedups, waiter
from wsfleet.testing.virtual_time import virtual_backends

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsfleet._client.waiter import AsyncioWaiter

place: ContextVar[str] = ContextVar("place", default="nowhere")

pytestmark = pytest.mark.parametrize(
    "make",
    [
        pytest.param(waiter.AsyncioWaiter, id="plain"),
        pytest.param(speedups.AsyncioWaiter, id="in use"),
    ],
)


@pytest.fixture(
    params=[
        pytest.param("asyncio", id="asyncio"),
        pytest.param("uvloop", id="uvloop", marks=needs_uvloop),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run on asyncio in virtual time, and on uvloop."""
    if request.param == "uvloop":
        return "asyncio", {"use_uvloop": True}
    return virtual_backends()["asyncio"]


class Line:
    """Where a waiter waits."""

    def __init__(self, *, is_kept: bool = True) -> None:
        self.deadlines: dict[Any, float] = {}
        self.is_kept = is_kept
        self.has_left = 0

    def leave(self) -> None:
        self.has_left += 1


Make = type[waiter.AsyncioWaiter]


def new(make: Make, line: Line | None = None) -> AsyncioWaiter:
    """Return a waiter of the running loop."""
    line = line or Line()
    made = make(line, asyncio.get_running_loop())
    line.deadlines[made] = 1.0
    return made


async def called_back(function: Callable[[], Any]) -> None:
    """Let the event loop call a function, as it does when bytes come; return when it did."""
    done = asyncio.Event()

    def call() -> None:
        try:
            function()
        finally:
            done.set()

    asyncio.get_running_loop().call_soon(call)
    await done.wait()


async def awaiting(awaited: AsyncioWaiter, log: list[Any]) -> None:
    """Await it, and note what happens."""
    log.append("waits")
    try:
        log.append(await awaited)
    except asyncio.CancelledError as error:
        log.append(type(error))
        raise
    finally:
        log.append(place.get())


async def test_an_answer_is_there_in_the_step_that_brings_it(make: Make) -> None:
    """Who awaits an answer goes on as soon as it is read, before anything else happens."""
    log: list[Any] = []
    awaited = new(make)

    def answer() -> None:
        awaited.set("answer")
        log.append("set")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(awaiting, awaited, log)
        await anyio.wait_all_tasks_blocked()
        await called_back(answer)

    assert log == ["waits", "answer", "nowhere", "set"]


async def test_a_task_that_answers_is_not_interrupted(make: Make) -> None:
    """Where a task brings the answer, it finishes its own step first."""
    log: list[Any] = []
    awaited = new(make)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(awaiting, awaited, log)
        await anyio.wait_all_tasks_blocked()
        awaited.set("answer")
        log.append("set")

    assert log == ["waits", "set", "answer", "nowhere"]


async def test_only_the_first_answer_counts(make: Make) -> None:
    """A second answer changes nothing, before and after the first was taken."""
    awaited = new(make)
    awaited.set(1)
    awaited.set(2)
    assert await awaited == 1
    awaited.set(3)
    assert await awaited == 1
    assert awaited.done()
    assert not awaited.cancel()


async def test_who_goes_on_is_where_it_was(make: Make) -> None:
    """Context variables are those of the task that awaits, not those of the answer."""
    log: list[Any] = []
    awaited = new(make)

    def answer() -> None:
        place.set("in the answer")
        awaited.set("answer")

    async with anyio.create_task_group() as tasks:
        place.set("in the task")
        tasks.start_soon(awaiting, awaited, log)
        await anyio.wait_all_tasks_blocked()
        await called_back(answer)

    assert log == ["waits", "answer", "in the task"]


async def test_what_is_raised_then_stays_in_the_task(make: Make) -> None:
    """An error of who awaits does not reach whoever brought the answer."""
    awaited = new(make)

    async def fail() -> None:
        raise ValueError(await awaited)

    task = asyncio.create_task(fail())
    await anyio.wait_all_tasks_blocked()
    await called_back(lambda: awaited.set("answer"))
    with pytest.raises(ValueError, match="answer"):
        await task


async def test_a_cancelled_wait_stays_cancelled(make: Make) -> None:
    """An answer that comes after the cancellation is too late."""
    log: list[Any] = []
    awaited = new(make)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(awaiting, awaited, log)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
        await called_back(lambda: awaited.set("answer"))

    assert log == ["waits", asyncio.CancelledError, "nowhere"]
    assert awaited.done()


async def test_a_scope_knows_its_own_cancellation(make: Make) -> None:
    """A deadline around a wait ends the wait, and no more."""
    with anyio.move_on_after(0.01) as scope:
        await new(make)
    assert scope.cancelled_caught


async def test_a_cancellation_that_comes_after_the_answer_is_no_loss(make: Make) -> None:
    """What was cancelled while its answer was on the way ends as cancelled."""
    awaited = new(make)
    task = asyncio.create_task(awaiting(awaited, []))
    await anyio.wait_all_tasks_blocked()
    awaited.set("answer")
    task.cancel("no more")
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_awaiting_a_cancelled_waiter_is_being_cancelled(make: Make) -> None:
    """A waiter that was cancelled before anybody awaited it tells whoever does."""
    awaited = new(make)
    assert awaited.cancel()
    task = asyncio.create_task(awaiting(awaited, []))
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_answers_in_a_row_need_no_more_than_their_steps(make: Make) -> None:
    """However many wait, each goes on with its own answer, in the order of the answers."""
    log: list[Any] = []
    waiters = [new(make) for _ in range(100)]

    def answer() -> None:
        for number in reversed(range(100)):
            waiters[number].set(number)

    async def wait(awaited: AsyncioWaiter) -> None:
        log.append(await awaited)

    async with anyio.create_task_group() as tasks:
        for awaited in waiters:
            tasks.start_soon(wait, awaited)
        await anyio.wait_all_tasks_blocked()
        await called_back(answer)

    assert log == [*reversed(range(100))]


@pytest.mark.parametrize("is_kept", [True, False])
async def test_who_is_answered_leaves_the_line(make: Make, *, is_kept: bool) -> None:
    """The last to leave a line that is not kept takes it along; leaving again does nothing."""
    line = Line(is_kept=is_kept)
    first, second = new(make, line), new(make, line)
    first.close()
    assert [*line.deadlines] == [second]
    assert not line.has_left
    second.close()
    assert not line.deadlines
    assert line.has_left == (0 if is_kept else 1)


async def test_a_waiter_says_whose_it_is(make: Make) -> None:
    """A task of another event loop is told so, as by any future."""
    assert new(make).get_loop() is asyncio.get_running_loop()


async def test_waiters_leave_nothing_behind(make: Make) -> None:
    """However many answers are awaited, cancelled or not, no memory stays in use."""

    async def wait_for_some() -> None:
        for _ in range(50):
            answered, cancelled = new(make), new(make)
            task = asyncio.create_task(awaiting(answered, []))
            lost = asyncio.create_task(awaiting(cancelled, []))
            await asyncio.sleep(0)
            await called_back(partial(answered.set, ["answer"]))
            lost.cancel()
            await asyncio.wait([task, lost])
            answered.close()
            cancelled.close()

    await wait_for_some()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(30):
        await wait_for_some()
    gc.collect()
    assert sys.getallocatedblocks() < before + 750
