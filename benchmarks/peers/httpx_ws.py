"""httpx-ws with its own session, as it comes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import httpx_ws

from benchmarks.common import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from benchmarks.common import Job, Measured


@asynccontextmanager
async def connect(job: Job) -> AsyncGenerator[httpx_ws.AsyncWebSocketSession]:
    async with (
        httpx.AsyncClient(verify=job.tls or True) as client,
        httpx_ws.aconnect_ws(job.url, client, keepalive_ping_interval_seconds=None) as session,
    ):
        yield session


async def echo(job: Job) -> Measured:
    text = job.text
    async with connect(job) as client:
        watch = Watch()
        for _ in range(job.count):
            await client.send_text(text)
            await client.receive_text()
        return watch.read()


async def flood(job: Job) -> Measured:
    async with connect(job) as client:
        watch = Watch()
        await client.send_text(job.command)
        for _ in range(job.count):
            await client.receive_text()
        return watch.read()
