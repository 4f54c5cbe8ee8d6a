from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from httpx_ws.transport import ASGIWebSocketTransport

from wsfleet import Gap, Message, connect
from wsfleet.testing import MockServer
from wsfleet.testing.virtual_time import VirtualTimeLoop, all_tasks_blocked, time_is_virtual

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


async def test_real_servers_are_not_for_virtual_time() -> None:
    """A mock server under virtual time is refused at once, and says why."""
    assert time_is_virtual()
    with pytest.raises(RuntimeError, match="virtual time"):
        async with MockServer():
            pass


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_real_time_is_told_from_virtual_time(backend: str) -> None:
    """On an event loop of everyday use time is not virtual."""

    async def main() -> bool:
        return time_is_virtual()

    assert not anyio.run(main, backend=backend)


async def test_a_client_lives_hours_in_virtual_time_with_an_application_in_memory() -> None:
    """A client served in memory reconnects as it does in life, and no time passes."""
    opened: list[float] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        opened.append(anyio.current_time())
        await send({"type": "websocket.accept"})
        if len(opened) == 1:
            await anyio.sleep(3600)
            await send({"type": "websocket.close", "code": 1012, "reason": "restart"})
        else:
            await send({"type": "websocket.send", "text": '{"hello": 2}'})
            await receive()  # the handshake
            await receive()  # the client's end

    transport = ASGIWebSocketTransport(app)
    async with httpx.AsyncClient(transport=transport) as http:
        async with connect("ws://memory", http_client=http, heartbeat=None) as client:
            events = aiter(client)
            gap = await anext(events)
            assert isinstance(gap, Gap)
            assert gap.cause == "restart"
            assert await anext(events) == Message({"hello": 2})
    assert 3600 <= opened[1] - opened[0] <= 3600 + 6  # what closing and the backoff take


def test_a_deadlock_is_an_error_on_asyncio() -> None:
    """A task that waits for what nobody will do is an error at once, and not a hanging test."""
    with (
        pytest.raises(RuntimeError, match="deadlock"),
        asyncio.Runner(loop_factory=VirtualTimeLoop) as runner,
    ):
        runner.run(asyncio.Event().wait())
