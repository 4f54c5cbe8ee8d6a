"""aiohttp's WebSocket client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from benchmarks.common import Watch, open_many

if TYPE_CHECKING:
    from benchmarks.common import Job, Measured


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


def connect(session: aiohttp.ClientSession, job: Job) -> Any:
    return session.ws_connect(job.url, ssl=job.tls or True, max_msg_size=0)


async def echo(job: Job) -> Measured:
    text = job.text
    async with session() as shared, connect(shared, job) as client:
        watch = Watch()
        for _ in range(job.count):
            await client.send_str(text)
            await client.receive_str()
        return watch.read()


async def flood(job: Job) -> Measured:
    async with session() as shared, connect(shared, job) as client:
        watch = Watch()
        await client.send_str(job.command)
        for _ in range(job.count):
            await client.receive_str()
        return watch.read()


fragments = flood


async def upload(job: Job) -> Measured:
    text = job.text
    async with session() as shared, connect(shared, job) as client:
        watch = Watch()
        await client.send_str(job.command)
        for _ in range(job.count):
            await client.send_str(text)
        await client.receive_str()
        return watch.read()


async def ticker(job: Job) -> Measured:
    async with session() as shared, connect(shared, job) as client:
        watch = Watch()
        await client.send_str(job.command)
        for _ in range(job.count):
            await client.receive_json(loads=orjson.loads)
        return watch.read()


typed = ticker  # to a dict, by orjson


async def hold(job: Job) -> Measured:
    async with session() as shared:
        held, measured = await open_many(lambda: connect(shared, job), job.count)
        for client in held:
            await client.close()
        return measured
