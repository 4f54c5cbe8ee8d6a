"""
The least that whoever delivers whole messages has to do: a bare protocol that reads each into
memory of its own, and decodes nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from benchmarks.common import Watch
from benchmarks.peers.limit import UPGRADE, masked_frame
from benchmarks.server import server_frame

if TYPE_CHECKING:
    from benchmarks.common import Job, Measured


class Keeper(asyncio.BufferedProtocol):
    """Reads messages of a known size, each into a new bytearray."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.left = 0
        self.filled = 0
        self.message = bytearray(size)
        self.done = asyncio.Event()
        self.upgraded = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(UPGRADE)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's
        return memoryview(self.message)[self.filled :]

    def buffer_updated(self, nbytes: int) -> None:
        if not self.upgraded.is_set():
            self.upgraded.set()
            return
        self.filled += nbytes
        if self.filled == self.size:
            self.message = bytearray(self.size)
            self.filled = 0
            self.left -= 1
            if not self.left:
                self.done.set()


async def flood(job: Job) -> Measured:
    where = urlsplit(job.url)
    loop = asyncio.get_running_loop()
    size = len(server_frame(bytes(job.size)))
    _, keeper = await loop.create_connection(
        lambda: Keeper(size), where.hostname, where.port, ssl=job.tls
    )
    await keeper.upgraded.wait()
    keeper.left = job.count
    watch = Watch()
    keeper.transport.write(masked_frame(job.command.encode()))
    await keeper.done.wait()
    measured = watch.read()
    keeper.transport.abort()
    return measured
