"""
wsfleet through its public `Client`: handler, heartbeat and statistics are on.

Compression is off, as with the peers: the server does not offer it.
"""

from __future__ import annotations

import gc
import random
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from benchmarks.common import AT_ONCE, Watch
from wsfleet import ClientSupervisor, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.common import Job, Measured
    from wsfleet import Client


def options(job: Job) -> dict[str, Any]:
    return {
        "compression": None,
        "max_message_size": None,
        "ssl_context": job.tls,
        "timeout": 60.0,
    }


def counter(count: int) -> tuple[Callable[[object], None], anyio.Event]:
    """Return a handler that counts, and the event that it sets at the end."""
    done, seen = anyio.Event(), 0

    def handler(_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == count:
            done.set()

    return handler, done


async def echo(job: Job) -> Measured:
    text, done, seen = job.text, anyio.Event(), 0

    def handler(_: object) -> None:
        nonlocal seen
        seen += 1
        if seen < job.count:
            client.send_nowait(text)
        else:
            done.set()

    async with connect(job.url, handler=handler, decode="raw", **options(job)) as client:
        watch = Watch()
        await client.send_message(text)
        await done.wait()
        return watch.read()


async def flood(job: Job) -> Measured:
    handler, done = counter(job.count)
    async with connect(job.url, handler=handler, decode="raw", **options(job)) as client:
        watch = Watch()
        await client.send_message(job.command)
        await done.wait()
        return watch.read()


fragments = flood


async def upload(job: Job) -> Measured:
    handler, done = counter(1)
    text = job.text
    async with connect(job.url, handler=handler, decode="raw", **options(job)) as client:
        watch = Watch()
        await client.send_message(job.command)
        for _ in range(job.count):
            await client.send_message(text)
        await done.wait()
        return watch.read()


async def ticker(job: Job) -> Measured:
    handler, done = counter(job.count)
    async with connect(job.url, handler=handler, **options(job)) as client:
        watch = Watch()
        await client.send_message(job.command)
        await done.wait()
        return watch.read()


class TickerData(msgspec.Struct):
    """What a bot wants of a ticker."""

    timestamp: int
    state: str
    best_bid_price: float
    best_ask_price: float
    best_bid_amount: float
    best_ask_amount: float
    last_price: float
    mark_price: float
    open_interest: float


class TickerParams(msgspec.Struct):
    """Which channel."""

    channel: str
    data: TickerData


class Ticker(msgspec.Struct):
    """A notification."""

    method: str
    params: TickerParams


async def typed(job: Job) -> Measured:
    """Decode to a Struct."""
    handler, done = counter(job.count)
    decode = msgspec.json.Decoder(Ticker).decode
    async with connect(job.url, handler=handler, decode=decode, **options(job)) as client:
        watch = Watch()
        await client.send_message(job.command)
        await done.wait()
        return watch.read()


async def request(job: Job) -> Measured:
    params = ["x" * (job.size - 60)]
    async with connect(job.url, **options(job)) as client:
        await client.request("method", params)
        watch = Watch()
        for _ in range(job.count):
            await client.request("method", params)
        return watch.read()


async def single(job: Job) -> Measured:
    """Send what `balanced` sends, over one client that is no pool's."""
    async with connect(job.url, **options(job)) as client:
        watch = Watch()
        for number in range(job.count):
            await client.send_message({"id": number, "method": "method"})
        return watch.read()


async def balanced(job: Job) -> Measured:
    """Send over a pool of `size` clients."""
    async with ClientSupervisor() as pool:
        await start_warm(pool, job)
        watch = Watch()
        for number in range(job.count):
            await pool.send_balanced({"id": number, "method": "method"})
        return watch.read()


async def scattered(job: Job) -> Measured:
    """Send over the same clients as `balanced`, each time over any of them."""
    async with ClientSupervisor() as pool:
        clients = await start_warm(pool, job)
        watch = Watch()
        for number in range(job.count):
            client = clients[int(random.random() * job.size)]
            await client.send_message({"id": number, "method": "method"})
        return watch.read()


async def start_warm(pool: ClientSupervisor, job: Job) -> list[Client]:
    """Start clients that have sent: what a first message takes is the opening's."""
    await start(pool, job, job.size)
    clients = pool.list_clients()
    for client in clients:
        await client.send_message({"id": 0, "method": "method"})
    gc.collect()
    return clients


async def hold(job: Job) -> Measured:
    """Open `count` connections and hold them."""
    async with ClientSupervisor() as pool:
        await start(pool, job, 1)
        gc.collect()
        watch = Watch()
        await start(pool, job, job.count)
        return watch.read()


async def start(pool: ClientSupervisor, job: Job, count: int) -> None:
    numbers = iter(range(count))

    async def start_some() -> None:
        for _ in numbers:
            await pool.start_client(job.url, **options(job))

    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(start_some)
