"""
Reconnect cycles: clients that are dropped again and again, by a server in a process of its own,
so that the memory that is measured is the fleet's.
"""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager, suppress
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

import anyio

from tests.soak.held import Held
from wsfleet import ClientSupervisor, PingPong
from wsfleet.errors import SendError
from wsfleet.testing import MockServer, json_rpc
from wsfleet.testing.certificates import loopback_contexts

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from wsfleet import Client

CLIENTS: Final = 4
PAUSE: Final = 0.01
"""Seconds between two times at which the server drops all of its connections."""

WARM_UP: Final = 0.3
"""The share of the time after which it is first measured."""

WAYS: Final = ("reset", "normal", 1012, "going_away")


@contextmanager
def dropping_server(*, tls: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Run a server that drops its connections; give its URL, and options for its clients.

    The process is forked: enter this before there is an event loop or a thread.
    """
    server_context, client_context = loopback_contexts() if tls else (None, None)
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    process = fork.Process(target=_run_server, args=(theirs, server_context), daemon=True)
    process.start()
    try:
        yield ours.recv(), {"ssl_context": client_context}
    finally:
        ours.send("stop")
        process.join(10)
        process.kill()


def _run_server(pipe: Connection, context: ssl.SSLContext | None) -> None:
    anyio.run(_serve, pipe, context)


async def _serve(pipe: Connection, context: ssl.SSLContext | None) -> None:
    async with MockServer(json_rpc, ssl=context or False) as server:
        pipe.send(server.url)
        for way in cycle(WAYS):
            await anyio.sleep(PAUSE)
            with suppress(TimeoutError):  # nobody was connected
                await server.simulate_disconnect(way)  # type: ignore[arg-type]
            server.clear()
            if pipe.poll():
                return


async def soak_cycles(seconds: float, url: str, options: dict[str, Any]) -> int:
    """Let clients be dropped for so long; return the exit code."""
    async with ClientSupervisor() as pool:
        clients = [
            await pool.start_client(
                url,
                heartbeat=PingPong(interval=1.0, timeout=5.0),
                retry_count=None,
                retry_delay=0.0,
                inbox_size=16,  # full of gaps when it is first measured
                **options,
            )
            for _ in range(CLIENTS)
        ]
        with anyio.fail_after(2 * seconds + 60):
            await _ask_for(seconds * WARM_UP, clients)
            before, cycles = Held.now(), _cycles(clients)
            await _ask_for(seconds * (1 - WARM_UP), clients)
            after, cycles = Held.now(), _cycles(clients) - cycles
    print(f"{cycles} reconnects; {before.compared(after)}")
    return 0 if cycles and not before.has_grown(after) else 1


def _cycles(clients: list[Client]) -> int:
    return sum(client.life.generation for client in clients)


async def _ask_for(seconds: float, clients: list[Client]) -> None:
    end = anyio.current_time() + seconds
    async with anyio.create_task_group() as tasks:
        for client in clients:
            tasks.start_soon(_ask_until, client, end)


async def _ask_until(client: Client, end: float) -> None:
    """Make requests, and ask for a new connection now and then, as the server does."""
    number = 0
    while anyio.current_time() < end:
        number += 1
        try:
            await client.request("echo", [number])
            if not number % 50:
                await client.reconnect()
        except SendError:
            await client.wait_connected()
