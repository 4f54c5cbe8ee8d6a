from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import anyio
import pytest

from wsfleet.testing.virtual_time import VirtualTimeLoop, all_tasks_blocked

if TYPE_CHECKING:
    from anyio.abc import TaskStatus


async def test_an_hour_costs_no_time() -> None:
    """Sleeping an hour takes an hour on the loop's clock and none on the wall's."""
    began, wall = anyio.current_time(), time.monotonic()
    await anyio.sleep(3600)
    assert anyio.current_time() - began == pytest.approx(3600)
    assert time.monotonic() - wall < 5


async def test_timers_fire_in_their_order() -> None:
    """Two sleepers wake up in the order of their deadlines, whoever went to sleep first."""
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await anyio.sleep(seconds)
        woken.append(seconds)

    async with anyio.create_task_group() as group:
        for seconds in (3, 1, 2):
            group.start_soon(sleeper, seconds)
    assert woken == [1, 2, 3]


async def test_waiting_for_the_others_moves_no_time() -> None:
    """`all_tasks_blocked` lets every other task come to rest, at the same instant."""
    reached: list[int] = []

    async def worker(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        for step in range(5):
            await anyio.lowlevel.checkpoint()
            reached.append(step)
        await anyio.sleep(10)

    async with anyio.create_task_group() as group:
        await group.start(worker)
        began = anyio.current_time()
        await all_tasks_blocked()
        assert reached == [0, 1, 2, 3, 4]
        assert anyio.current_time() == began
        group.cancel_scope.cancel()


def test_a_deadlock_is_an_error_on_asyncio() -> None:
    """A task that waits for what nobody will do is an error at once, and not a hanging test."""
    with (
        pytest.raises(RuntimeError, match="deadlock"),
        asyncio.Runner(loop_factory=VirtualTimeLoop) as runner,
    ):
        runner.run(asyncio.Event().wait())
