"""Use from another thread, from another event loop, and after the event loop was closed."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from wsfleet import ChildSpec, Client, ClientSupervisor, SlidingWindow, connect
from wsfleet.testing import MockServer, json_rpc

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ELSEWHERE = "outside of the event loop that runs it"


async def iterate(source: Any) -> None:
    """Begin to iterate."""
    async for _ in source:
        return


CLIENT: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "send_message": lambda client: client.send_message({"id": 1, "method": "m"}),
    "request": lambda client: client.request("m", timeout=2.0),
    "subscribe": lambda client: client.subscribe("a"),
    "unsubscribe": lambda client: client.unsubscribe("a"),
    "wait_connected": lambda client: client.wait_connected(),
    "reconnect": lambda client: client.reconnect(),
    "close": lambda client: client.close(),
    "iteration": iterate,
    "run": lambda client: client.run(),
}

SUPERVISOR: dict[str, Callable[[ClientSupervisor], Awaitable[Any]]] = {
    "send_balanced": lambda pool: pool.send_balanced("x"),
    "request_balanced": lambda pool: pool.request_balanced("m"),
    "start_client": lambda pool: pool.start_client("ws://127.0.0.1:1"),
    "stop_client": lambda pool: pool.stop_client(pool.list_clients()[0]),
    "wait_connected": lambda pool: pool.wait_connected(2),
    "iteration": iterate,
}


def elsewhere(use: Callable[[Any], Awaitable[Any]], of: Any, backend: str) -> None:
    """Use something on an event loop of this thread; it must fail, and soon."""

    async def main() -> None:
        with anyio.fail_after(5), pytest.raises(RuntimeError, match=ELSEWHERE):
            await use(of)

    anyio.run(main, backend=backend)


async def test_methods_of_a_client_from_another_thread_fail_at_once() -> None:
    """Whatever is called on an event loop of another thread says so, and does nothing."""
    async with MockServer(json_rpc) as server, connect(server.url) as client:
        for use in CLIENT.values():
            for backend in ("asyncio", "trio"):
                await anyio.to_thread.run_sync(elsewhere, use, client, backend)
        assert server.received == []
        assert server.accepted == 1
        await client.request("m")


async def test_methods_of_a_supervisor_from_another_thread_fail_at_once() -> None:
    """A pool, too, belongs to the event loop of its block."""
    async with MockServer(json_rpc) as server:
        async with ClientSupervisor([ChildSpec(server.url)]) as pool:
            await pool.wait_connected()
            for use in SUPERVISOR.values():
                await anyio.to_thread.run_sync(elsewhere, use, pool, "asyncio")
            assert len(pool.list_clients()) == 1
            await pool.request_balanced("m")


@pytest.mark.parametrize("message", ["text", b"bytes", {"json": 1}])
async def test_nothing_is_sent_at_once_from_another_thread(message: Any) -> None:
    """`send_nowait` of another thread, which could mix up two frames, sends nothing."""

    def send(client: Client) -> None:
        with pytest.raises(RuntimeError, match="from_thread"):
            client.send_nowait(message)

    async with MockServer() as server, connect(server.url) as client:
        await anyio.to_thread.run_sync(send, client)
        client.send_nowait("last")
        await server.assert_message_sent("last")
        assert server.received == ["last"]


async def test_another_thread_can_go_through_the_event_loop() -> None:
    """What the error advises works."""

    def ask(client: Client) -> Any:
        anyio.from_thread.run_sync(client.send_nowait, "x")
        return anyio.from_thread.run(client.request, "m")

    async with MockServer(json_rpc) as server, connect(server.url) as client:
        await anyio.to_thread.run_sync(ask, client)


async def test_a_limiter_serves_one_event_loop_at_a_time() -> None:
    """Those who wait for a limiter wake each other up, which goes within one loop only."""
    limiter = SlidingWindow(1, 0.2)
    await limiter.acquire("x")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.acquire, "x")
        await anyio.wait_all_tasks_blocked()
        await anyio.to_thread.run_sync(
            elsewhere, lambda it: it.acquire("x"), limiter, "asyncio"
        )
    await anyio.to_thread.run_sync(lambda: anyio.run(limiter.acquire, "x"))


async def test_health_can_be_asked_from_another_thread() -> None:
    """A thread that exports metrics asks for the health of clients, on every event loop."""
    async with MockServer(json_rpc) as server, ClientSupervisor() as pool:
        client = await pool.start_client(server.url)
        await client.request("m")
        (row,) = await anyio.to_thread.run_sync(pool.pool_health)
        assert row.health > 0
        assert await anyio.to_thread.run_sync(client.get_health) > 0


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_after_its_loop_was_closed_a_client_says_so() -> None:
    """A loop that was closed under a running client leaves an error, and no endless wait."""

    def use_after_close(url: str) -> None:
        loop = asyncio.new_event_loop()
        up = asyncio.Event()
        client = Client(url, on_connect=lambda _: up.set())
        limiter = SlidingWindow(1, 0.2)

        async def begin() -> list[asyncio.Task[None]]:
            running = asyncio.ensure_future(client.run())
            await asyncio.wait_for(up.wait(), 5)
            limiter.acquire_nowait("x")
            waiting = asyncio.ensure_future(limiter.acquire("x"))
            await asyncio.sleep(0.01)
            return [running, waiting]

        async def end(tasks: list[asyncio.Task[None]]) -> None:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

        tasks = loop.run_until_complete(begin())
        # `close` of a loop whose tasks still exist is the fault; they are ended below.
        real, loop.is_closed = loop.is_closed, lambda: True  # type: ignore[method-assign]
        try:
            for use in CLIENT.values():
                with pytest.raises(RuntimeError, match="closed while it ran"):
                    asyncio.run(asyncio.wait_for(use(client), 5))
            asyncio.run(asyncio.wait_for(limiter.acquire("x"), 5))
        finally:
            loop.is_closed = real  # type: ignore[method-assign]
            loop.run_until_complete(end(tasks))
            loop.close()

    async with MockServer(json_rpc) as server:
        await anyio.to_thread.run_sync(use_after_close, server.url)


async def test_a_client_that_has_ended_can_run_on_another_loop() -> None:
    """One client after the other may be run by loops that follow each other."""
    async with MockServer(json_rpc) as server:
        client = Client(server.url)

        async def live() -> None:
            async with anyio.create_task_group() as tasks:
                await tasks.start(client.run)
                await client.request("m")
                await client.close()

        for backend in ("asyncio", "trio", "asyncio"):
            await anyio.to_thread.run_sync(partial(anyio.run, live, backend=backend))
