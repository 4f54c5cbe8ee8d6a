"""
One measurement in one process: `python -m benchmarks.peers URL PEER WORKLOAD LOOP COUNT SIZE`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

Measured = tuple[float, float]


class Watch:
    """Wall and CPU seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> Measured:
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


async def wsfleet_echo(url: str, count: int, size: int) -> Measured:
    from wsfleet import connect

    text, done, seen = "x" * size, asyncio.Event(), 0

    def handler(_: object) -> None:
        nonlocal seen
        seen += 1
        if seen < count:
            client.send_nowait(text)
        else:
            done.set()

    async with connect(url, handler=handler, decode="raw", compression=None) as client:
        watch = Watch()
        await client.send_message(text)
        await done.wait()
        return watch.read()


async def wsfleet_request(url: str, count: int, size: int) -> Measured:
    from wsfleet import connect

    async with connect(url, compression=None) as client:
        await client.request("warm", ["x" * size])
        watch = Watch()
        for _ in range(count):
            await client.request("m", ["x" * size])
        return watch.read()


async def wsfleet_flood(url: str, count: int, size: int) -> Measured:
    from wsfleet import connect

    done, seen = asyncio.Event(), 0

    def handler(_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == count:
            done.set()

    async with connect(url, handler=handler, decode="raw", compression=None) as client:
        watch = Watch()
        await client.send_message(f"FLOOD {count} {size}")
        await done.wait()
        return watch.read()


async def wsfleet_balanced(url: str, count: int, clients: int) -> Measured:
    from wsfleet import ChildSpec, ClientSupervisor

    specs = [ChildSpec(url, compression=None, timeout=60.0) for _ in range(clients)]
    async with ClientSupervisor(specs) as pool:
        await pool.wait_connected(clients)
        watch = Watch()
        for number in range(count):
            await pool.send_balanced({"id": number, "method": "m"})
        return watch.read()


async def websockets_echo(url: str, count: int, size: int) -> Measured:
    from websockets.asyncio.client import connect

    async with connect(url, compression=None, max_size=None) as client:
        watch = Watch()
        for _ in range(count):
            await client.send("x" * size)
            await client.recv()
        return watch.read()


async def websockets_flood(url: str, count: int, size: int) -> Measured:
    from websockets.asyncio.client import connect

    async with connect(url, compression=None, max_size=None) as client:
        watch = Watch()
        await client.send(f"FLOOD {count} {size}")
        for _ in range(count):
            await client.recv()
        return watch.read()


async def aiohttp_echo(url: str, count: int, size: int) -> Measured:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.ws_connect(url) as client:
        watch = Watch()
        for _ in range(count):
            await client.send_str("x" * size)
            await client.receive_str()
        return watch.read()


async def aiohttp_flood(url: str, count: int, size: int) -> Measured:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.ws_connect(url) as client:
        watch = Watch()
        await client.send_str(f"FLOOD {count} {size}")
        for _ in range(count):
            await client.receive_str()
        return watch.read()


async def picows_run(url: str, count: int, size: int, first: str | None) -> Measured:
    from picows import WSListener, WSMsgType, ws_connect

    done, seen, payload = asyncio.Event(), 0, b"x" * size

    class Listener(WSListener):
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            nonlocal seen
            frame.get_payload_as_utf8_text()
            seen += 1
            if seen == count:
                done.set()
            elif first is None:
                transport.send(WSMsgType.TEXT, payload)

    transport, _ = await ws_connect(Listener, url)
    watch = Watch()
    transport.send(WSMsgType.TEXT, payload if first is None else first.encode())
    await done.wait()
    measured = watch.read()
    transport.disconnect()
    return measured


async def picows_echo(url: str, count: int, size: int) -> Measured:
    return await picows_run(url, count, size, None)


async def picows_flood(url: str, count: int, size: int) -> Measured:
    return await picows_run(url, count, size, f"FLOOD {count} {size}")


async def httpx_ws_echo(url: str, count: int, size: int) -> Measured:
    import httpx_ws

    async with httpx_ws.aconnect_ws(url, keepalive_ping_interval_seconds=None) as client:
        watch = Watch()
        for _ in range(count):
            await client.send_text("x" * size)
            await client.receive_text()
        return watch.read()


async def httpx_ws_flood(url: str, count: int, size: int) -> Measured:
    import httpx_ws

    async with httpx_ws.aconnect_ws(url, keepalive_ping_interval_seconds=None) as client:
        watch = Watch()
        await client.send_text(f"FLOOD {count} {size}")
        for _ in range(count):
            await client.receive_text()
        return watch.read()


def main() -> None:
    url, peer, workload, loop, count, size = sys.argv[1:]
    run: Callable[[str, int, int], Awaitable[Measured]] = globals()[f"{peer}_{workload}"]
    factory = None
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        wall, cpu = runner.run(run(url, int(count), int(size)))  # type: ignore[arg-type]
    print(json.dumps({"wall": wall, "cpu": cpu}))


if __name__ == "__main__":
    main()
