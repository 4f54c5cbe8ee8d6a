"""`wsfleet demo`: a fleet loses a server and keeps answering."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from typing import Final

import anyio

from wsfleet import ChildSpec, ClientSupervisor
from wsfleet.errors import SendError

from .demo_servers import DemoServer
from .summary import Tally, show_summary

SERVERS: Final = 3
CLIENTS_EACH: Final = 2
WORKERS: Final = 8
PHASE: Final = 2.0
"""Seconds before the kill, without the server, and after its return."""

BACK: Final = 4.0
"""Seconds in which the killed server's clients must be back."""


async def run_demo() -> int:
    """Run it; return 0 when every request has its outcome and the numbers add up."""
    # A connection that is killed is an error to the server's library, and the point of this.
    logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(DemoServer()) for _ in range(SERVERS)]
        specs = [
            ChildSpec(
                server.url,
                name=f"server{number}.{letter}",
                retry_count=None,
                retry_delay=0.2,
                max_backoff=0.5,
            )
            for number, server in enumerate(servers, 1)
            for letter in "ab"[:CLIENTS_EACH]
        ]
        pool = await stack.enter_async_context(ClientSupervisor(specs))
        tally = Tally(pool)
        await _live_through(servers[0], pool, tally)
    return show_summary(tally)  # when all is closed, so that it is the last thing to read


async def _live_through(victim: DemoServer, pool: ClientSupervisor, tally: Tally) -> None:
    async with anyio.create_task_group() as workers:
        stop = anyio.Event()
        for _ in range(WORKERS):
            workers.start_soon(_work, pool, tally, stop)
        await anyio.sleep(PHASE)
        tally.begin("during")
        await victim.kill()
        await anyio.sleep(PHASE)
        await victim.start()
        with anyio.move_on_after(BACK):
            await pool.wait_connected(SERVERS * CLIENTS_EACH)
        tally.begin("after")
        await anyio.sleep(PHASE)
        stop.set()
    tally.end()


async def _work(pool: ClientSupervisor, tally: Tally, stop: anyio.Event) -> None:
    while not stop.is_set():
        started_at = anyio.current_time()
        tally.requests += 1
        try:
            await pool.request_balanced("demo.work")
        except SendError as exc:
            tally.report(exc)
        else:
            tally.answer(anyio.current_time() - started_at)
        await anyio.sleep(0.01)
