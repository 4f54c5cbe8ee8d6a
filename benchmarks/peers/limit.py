"""The limit: a bare protocol that only counts bytes, and decodes nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from benchmarks.common import Watch
from benchmarks.server import TICKER, server_frame

if TYPE_CHECKING:
    from benchmarks.common import Job, Measured

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Counter(asyncio.Protocol):
    """Counts bytes, and answers each whole message of an echo with the next."""

    def __init__(self) -> None:
        self.left = 0
        self.reply = b""
        self.done = asyncio.Event()
        self.upgraded = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(UPGRADE)

    def data_received(self, data: bytes) -> None:
        if not self.upgraded.is_set():
            self.upgraded.set()
            return
        self.left -= len(data)
        if self.left <= 0:
            self.done.set()
        elif self.reply:
            self.transport.write(self.reply)


def masked_frame(payload: bytes) -> bytes:
    """Return a text frame of a client's, masked with zeros."""
    head = server_frame(payload)
    at = len(head) - len(payload)
    return head[:1] + bytes((head[1] | 0x80,)) + head[2:at] + bytes(4) + payload


async def run(job: Job, first: str, answer_size: int, *, reply: bool = False) -> Measured:
    where = urlsplit(job.url)
    loop = asyncio.get_running_loop()
    _, counter = await loop.create_connection(Counter, where.hostname, where.port, ssl=job.tls)
    await counter.upgraded.wait()
    frame = masked_frame(first.encode())
    counter.left = answer_size * job.count
    counter.reply = frame if reply else b""
    watch = Watch()
    counter.transport.write(frame)
    await counter.done.wait()
    measured = watch.read()
    counter.transport.abort()
    return measured


async def echo(job: Job) -> Measured:
    size = len(server_frame(job.text.encode()))
    return await run(job, job.text, size, reply=True)


async def flood(job: Job) -> Measured:
    return await run(job, job.command, len(server_frame(bytes(job.size))))


async def ticker(job: Job) -> Measured:
    return await run(job, job.command, len(server_frame(TICKER)))
