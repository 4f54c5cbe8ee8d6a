"""
What a proxy does with the bytes of one connection: delay, throttle, hold back, cut.

Rule 1: delay does not limit throughput: bytes queue with the time at which they are due.
Rule 2: held back means not read either, so that the sender's buffers fill as in life.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias

from .changes import Changes
from .sockets import reset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .lines import FaultyLine, Lines

Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CHUNK: Final = 2**16
_QUEUED_CHUNKS: Final = 64
_SLICE_SECONDS: Final = 0.02  # a narrow line passes this much at a time
_END: Final = b""


class CutError(Exception):
    """The connection has carried as many bytes in this direction as it was allowed to."""


class Route:
    """One connection from the client to the server."""

    def __init__(self, client: Stream, server: Stream, lines: Lines) -> None:
        self._client = client
        self._server = server
        self._lines = lines
        self._task = asyncio.current_task()
        self._dropped: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def reset(self) -> None:
        """Reset both sides, and wake up whoever holds bytes back."""
        for _, writer in (self._client, self._server):
            reset(writer.transport)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def drop(self) -> None:
        """End both sides as a process does that exits: FIN, and no close frame."""
        if not self._dropped.done():
            self._dropped.set_result(None)

    async def run(self) -> None:
        """Pass bytes on until both sides have ended, or one broke: then both are reset."""
        try:
            await self._pump_until_dropped()
        except* CutError as cut:
            await self._cut(cut.exceptions[0])
        except* OSError:
            self.reset()
        finally:
            self._server[1].close()

    async def _pump_until_dropped(self) -> None:
        pumps = asyncio.create_task(self._pump_both_ways())
        try:
            await asyncio.wait((pumps, self._dropped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            pumps.cancel()
        if self._dropped.done():
            await asyncio.gather(pumps, return_exceptions=True)
            await self._end_both()
        else:
            await pumps

    async def _end_both(self) -> None:
        for _, writer in (self._client, self._server):
            writer.write_eof()
        for reader, _ in (self._client, self._server):
            await _read_to_end(reader)

    async def _pump_both_ways(self) -> None:
        async with asyncio.TaskGroup() as group:
            to_server, to_client = self._lines["to_server"], self._lines["to_client"]
            self._start_pump(group, self._client[0], self._server[1], to_server)
            self._start_pump(group, self._server[0], self._client[1], to_client)

    async def _cut(self, cut: BaseException) -> None:
        to_server = cut.args == ("to_server",)
        source, sink = (self._client, self._server)[:: 1 if to_server else -1]
        reset(source[1].transport)
        sink[1].write_eof()
        await _read_to_end(sink[0])

    def _start_pump(
        self,
        group: asyncio.TaskGroup,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        line: FaultyLine,
    ) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED_CHUNKS)
        group.create_task(self._read(source, queue, line))
        group.create_task(self._write(queue, sink, line))

    async def _read(
        self,
        source: asyncio.StreamReader,
        queue: asyncio.Queue[tuple[float, bytes]],
        line: FaultyLine,
    ) -> None:
        clock = asyncio.get_running_loop().time
        data = None
        while data != _END:
            await line.until_flowing()
            data = await source.read(_CHUNK)
            await queue.put((clock() + line.latency, data))

    async def _write(
        self,
        queue: asyncio.Queue[tuple[float, bytes]],
        sink: asyncio.StreamWriter,
        line: FaultyLine,
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await queue.get()
            await asyncio.sleep(due - clock())
            if data == _END:
                break
            async for piece in _paced(data, line):
                await line.until_flowing()
                sink.write(line.allowed(piece))
                await sink.drain()
                if line.is_cut():
                    raise CutError(line.direction)
        await line.until_flowing()
        sink.write_eof()


class Routes:
    """The connections that pass through at this moment."""

    def __init__(self) -> None:
        self.open: set[Route] = set()
        self.changes: Changes = Changes()

    def add(self, each: Route) -> None:
        """Take one more."""
        self.open.add(each)
        self.changes.note()

    def discard(self, each: Route) -> None:
        """Take one less."""
        self.open.discard(each)
        self.changes.note()


async def _read_to_end(reader: asyncio.StreamReader) -> None:
    """Wait for the other side's end; to close with bytes unread would be a reset."""
    while await reader.read(_CHUNK):
        pass


async def _paced(data: bytes, line: FaultyLine) -> AsyncIterator[bytes]:
    """Divide data into pieces, each at its time."""
    while data:
        rate = line.bandwidth
        size = len(data) if rate is None else max(1, int(rate * _SLICE_SECONDS))
        piece, data = data[:size], data[size:]
        yield piece
        if rate is not None:
            await asyncio.sleep(len(piece) / rate)


async def route(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    target: tuple[str, int],
    lines: Lines,
    routes: Routes,
) -> None:
    """Connect to the target and pass bytes both ways; if it refuses, the client is reset."""
    for line in lines.values():
        await line.until_flowing()
    server = await asyncio.open_connection(*target)
    each = Route((reader, writer), server, lines)
    routes.add(each)
    try:
        await each.run()
    except asyncio.CancelledError:
        each.reset()
        raise
    finally:
        routes.discard(each)
