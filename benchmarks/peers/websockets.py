"""The `websockets` library: its asyncio client, and its trio client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from benchmarks.common import Watch, open_many

if TYPE_CHECKING:
    from benchmarks.common import Job, Measured


def connect(job: Job) -> Any:
    options = {"compression": None, "max_size": None, "ssl": job.tls}
    if job.loop == "trio":
        from websockets.trio.client import connect as connect_trio

        return connect_trio(job.url, **options)
    from websockets.asyncio.client import connect as connect_asyncio

    return connect_asyncio(job.url, open_timeout=60, **options)


async def echo(job: Job) -> Measured:
    text = job.text
    async with connect(job) as client:
        watch = Watch()
        for _ in range(job.count):
            await client.send(text)
            await client.recv()
        return watch.read()


async def flood(job: Job) -> Measured:
    async with connect(job) as client:
        watch = Watch()
        await client.send(job.command)
        for _ in range(job.count):
            await client.recv()
        return watch.read()


async def upload(job: Job) -> Measured:
    text = job.text
    async with connect(job) as client:
        watch = Watch()
        await client.send(job.command)
        for _ in range(job.count):
            await client.send(text)
        await client.recv()
        return watch.read()


async def ticker(job: Job) -> Measured:
    async with connect(job) as client:
        watch = Watch()
        await client.send(job.command)
        for _ in range(job.count):
            orjson.loads(await client.recv())
        return watch.read()


typed = ticker  # to a dict, by orjson


async def hold(job: Job) -> Measured:
    held, measured = await open_many(lambda: connect(job), job.count)
    for client in held:
        await client.close()
    return measured
