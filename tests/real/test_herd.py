"""Many clients that lose one endpoint, on real sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from wsfleet import ChildSpec, ClientSupervisor, SlidingWindow
from wsfleet._wire.opening import open_connection
from wsfleet.testing import MockServer

if TYPE_CHECKING:
    from wsfleet._wire.connection import Connection, Sink
    from wsfleet._wire.opening import Endpoint

CLIENTS = 40


async def test_a_fleet_that_lost_its_server_returns_within_its_budget() -> None:
    """
    A server that is killed and started again sees no more attempts than `connect_limiter`
    allows, and has all of its clients back within seconds.
    """
    attempts = list[float]()
    half = anyio.Event()

    async def opener(endpoint: Endpoint, sink: Sink) -> Connection:
        attempts.append(anyio.current_time())
        if len(attempts) == CLIENTS // 2:
            half.set()
        return await open_connection(endpoint, sink)

    limiter = SlidingWindow(20, 0.2)
    async with MockServer() as server:
        specs = [
            ChildSpec(server.url, connect_limiter=limiter, retry_count=None, retry_delay=0.1)
            for _ in range(CLIENTS)
        ]
        async with ClientSupervisor(specs, opener=opener) as supervisor:
            await supervisor.wait_connected(CLIENTS)
            attempts.clear()
            half = anyio.Event()
            await server.stop()
            with anyio.fail_after(30):
                await half.wait()
                await server.start()
                await supervisor.wait_connected(CLIENTS)

    windows = (attempts[-1] - attempts[0]) / 0.2
    assert CLIENTS <= len(attempts) <= 20 * (windows + 1)
