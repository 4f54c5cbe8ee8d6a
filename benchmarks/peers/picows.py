"""picows: frames from C straight to a callback."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from picows import WSListener, WSMsgType, ws_connect

from benchmarks.common import Watch, open_many

if TYPE_CHECKING:
    from benchmarks.common import Job, Measured


class Counting(WSListener):
    """Counts what comes."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.done = asyncio.Event()

    def count(self) -> None:
        self.left -= 1
        if not self.left:
            self.done.set()


class Flooded(Counting):
    """Takes each message as text."""

    def on_ws_frame(self, _: Any, frame: Any) -> None:
        frame.get_payload_as_utf8_text()
        self.count()


class Ticked(Counting):
    """Takes each message as JSON."""

    def on_ws_frame(self, _: Any, frame: Any) -> None:
        orjson.loads(frame.get_payload_as_memoryview())
        self.count()


class Echoed(Counting):
    """Answers each message with the next."""

    def __init__(self, count: int, payload: str) -> None:
        super().__init__(count)
        self.payload = payload

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        frame.get_payload_as_utf8_text()
        self.count()
        if self.left:
            transport.send(WSMsgType.TEXT, self.payload.encode())


async def connect(job: Job, listener: WSListener) -> Any:
    transport, _ = await ws_connect(
        lambda: listener, job.url, ssl_context=job.tls, websocket_handshake_timeout=60
    )
    return transport


async def run(job: Job, listener: Counting, first: str) -> Measured:
    transport = await connect(job, listener)
    watch = Watch()
    transport.send(WSMsgType.TEXT, first.encode())
    await listener.done.wait()
    measured = watch.read()
    transport.disconnect()
    return measured


async def echo(job: Job) -> Measured:
    return await run(job, Echoed(job.count, job.text), job.text)


async def flood(job: Job) -> Measured:
    return await run(job, Flooded(job.count), job.command)


async def ticker(job: Job) -> Measured:
    return await run(job, Ticked(job.count), job.command)


typed = ticker  # to a dict, by orjson


async def hold(job: Job) -> Measured:
    held, measured = await open_many(lambda: connect(job, WSListener()), job.count)
    for transport in held:
        transport.disconnect()
    return measured
