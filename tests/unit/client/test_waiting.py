from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wsfleet._client.clock import running_clock
from wsfleet._client.patience import EXPIRED, Patience

if TYPE_CHECKING:
    from wsfleet._client.clock import NewWaiter, Waiter

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)


async def wait(waiter: Waiter, ended: dict[float, Any], name: float) -> None:
    """Note when a wait ended, and with what."""
    try:
        answer = await waiter
        ended[name] = (anyio.current_time(), answer)
    finally:
        waiter.close()


async def test_each_wait_ends_at_its_own_time() -> None:
    """Answers that do not come are given up each at its deadline, however long it was given."""
    clock, new_waiter = running_clock(0.5)
    began, ended = clock(), dict[float, Any]()
    times = [3.0, 1.0, 2.0, 1.5, 0.0]
    async with anyio.create_task_group() as tasks:
        for seconds in times:
            tasks.start_soon(wait, new_waiter(began, seconds), ended, seconds)

    assert {seconds: (began + seconds, EXPIRED) for seconds in times} == ended


async def test_those_of_one_patience_end_in_the_order_in_which_they_began() -> None:
    """Equal times that began one after the other end one after the other."""
    clock, new_waiter = running_clock(0.5)
    began, ended = clock(), dict[float, Any]()
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(wait, new_waiter(clock(), 10.0), ended, number)
            await anyio.sleep(1)

    assert {n: (began + n + 10.0, EXPIRED) for n in range(5)} == ended


async def test_an_answer_ends_a_wait_and_leaves_the_others() -> None:
    """Who was answered waits no longer; who was given the same time waits on."""
    clock, new_waiter = running_clock(0.5)
    began, ended = clock(), dict[float, Any]()
    first, second = new_waiter(began, 5.0), new_waiter(began, 5.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, first, ended, 1)
        tasks.start_soon(wait, second, ended, 2)
        await anyio.sleep(1)
        first.set("answer")
        first.set("too late")

    assert {1: (began + 1, "answer"), 2: (began + 5, EXPIRED)} == ended


async def test_a_cancelled_wait_is_gone() -> None:
    """Whoever stops waiting is told nothing, and holds up nobody."""
    clock, new_waiter = running_clock(0.5)
    began, ended = clock(), dict[float, Any]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, new_waiter(began, 5.0), ended, 1)
        with anyio.move_on_after(1):
            await wait(new_waiter(began, 5.0), ended, 2)

    assert {1: (began + 5, EXPIRED)} == ended


async def use(new_waiter: NewWaiter, seconds: float) -> None:
    """Be answered at once."""
    waiter = new_waiter(anyio.current_time(), seconds)
    waiter.set(None)
    await waiter
    waiter.close()


def patience() -> Patience:
    """Return what makes the waiters of an asyncio loop."""
    _, new_waiter = running_clock(0.5)
    assert isinstance(new_waiter, Patience)
    return new_waiter


@on_asyncio
async def test_times_that_always_differ_leave_nothing_behind() -> None:
    """A caller with another time for each request fills no memory with them."""
    waiting = patience()
    for number in range(1000):
        await use(waiting, 1000.0 + number)

    assert len(waiting._lines or ()) <= 64


@on_asyncio
async def test_a_time_that_nobody_is_given_any_more_is_forgotten() -> None:
    """A time that was used once is forgotten when it is over."""
    waiting = patience()
    await use(waiting, 5.0)
    await anyio.sleep(6)

    assert not waiting._lines


@on_asyncio
async def test_any_mixture_of_times_and_answers_ends_right() -> None:
    """However times, answers and cancellations meet, each wait ends once and at its time."""
    chance = random.Random(7)
    waiting = patience()
    expected, ended = dict[float, Any](), dict[float, Any]()

    async def live(number: int) -> None:
        begins = chance.random() * 50
        given = chance.choice([5.0, 7.0, chance.random() * 20])
        answered = chance.choice([None, chance.random() * 20])
        await anyio.sleep(begins)
        began = anyio.current_time()
        waiter = waiting(began, given)
        if answered is None or answered > given:
            expected[number] = (pytest.approx(began + given), EXPIRED)
        else:
            expected[number] = (pytest.approx(began + answered), number)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, waiter, ended, number)
            if answered is not None:
                await anyio.sleep(answered)
                waiter.set(number)

    async with anyio.create_task_group() as tasks:
        for number in range(500):
            tasks.start_soon(live, number)

    assert expected == ended
    await anyio.sleep(25)
    assert not waiting._lines
