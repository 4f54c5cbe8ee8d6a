"""
What a proxy does with the bytes of one connection: delay, throttle, hold back, cut.

Rule 1: delay does not limit throughput: bytes queue with the time at which they are due.
Rule 2: held back means not read either, so that the sender's buffers fill as in life.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from .sockets import reset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Direction: TypeAlias = Literal["to_server", "to_client"]
Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CHUNK: Final = 2**16
_QUEUED_CHUNKS: Final = 64
_SLICE_SECONDS: Final = 0.02  # a narrow line passes this much at a time
_END: Final = b""


class CutError(Exception):
    """The connection has carried as many bytes in this direction as it was allowed to."""


@dataclass(slots=True)
class Faults:
    """What is wrong with the line."""

    latency: float = 0.0
    bandwidth: float | None = None
    cut: dict[Direction, int] = field(default_factory=dict)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._flowing.set()

    async def freeze(self) -> None:
        """Let nothing through."""
        self._flowing.clear()

    async def thaw(self) -> None:
        """Let everything through."""
        self._flowing.set()

    async def until_flowing(self) -> None:
        """Wait while frozen."""
        await self._flowing.wait()

    def allowed(self, direction: Direction, data: bytes) -> bytes:
        """Return the part of this data that may still pass."""
        if direction not in self.cut:
            return data
        passed = data[: self.cut[direction]]
        self.cut[direction] -= len(passed)
        return passed

    def is_cut(self, direction: Direction) -> bool:
        """Tell, once, that the last byte has passed."""
        if self.cut.get(direction) != 0:
            return False
        del self.cut[direction]
        return True


class Route:
    """One connection from the client to the server."""

    def __init__(self, client: Stream, server: Stream, faults: Faults) -> None:
        self._client = client
        self._server = server
        self._faults = faults
        self._task = asyncio.current_task()

    def reset(self) -> None:
        """Reset both sides, and wake up whoever holds bytes back."""
        for _, writer in (self._client, self._server):
            reset(writer.transport)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def run(self) -> None:
        """Pass bytes on until both sides have ended, or one broke: then both are reset."""
        try:
            await self._pump_both_ways()
        except* CutError as cut:
            await self._cut(cut.exceptions[0])
        except* OSError:
            self.reset()
        finally:
            self._server[1].close()

    async def _pump_both_ways(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._start_pump(group, self._client[0], self._server[1], "to_server")
            self._start_pump(group, self._server[0], self._client[1], "to_client")

    async def _cut(self, cut: BaseException) -> None:
        to_server = cut.args == ("to_server",)
        source, sink = (self._client, self._server)[:: 1 if to_server else -1]
        reset(source[1].transport)
        sink[1].write_eof()
        while await sink[0].read(_CHUNK):  # closing with bytes unread would be a reset
            pass

    def _start_pump(
        self,
        group: asyncio.TaskGroup,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        direction: Direction,
    ) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED_CHUNKS)
        group.create_task(self._read(source, queue))
        group.create_task(self._write(queue, sink, direction))

    async def _read(
        self, source: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        clock = asyncio.get_running_loop().time
        data = None
        while data != _END:
            await self._faults.until_flowing()
            data = await source.read(_CHUNK)
            await queue.put((clock() + self._faults.latency, data))

    async def _write(
        self,
        queue: asyncio.Queue[tuple[float, bytes]],
        sink: asyncio.StreamWriter,
        direction: Direction,
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await queue.get()
            await asyncio.sleep(due - clock())
            if data == _END:
                break
            async for piece in self._paced(data):
                await self._faults.until_flowing()
                sink.write(self._faults.allowed(direction, piece))
                await sink.drain()
                if self._faults.is_cut(direction):
                    raise CutError(direction)
        await self._faults.until_flowing()
        sink.write_eof()

    async def _paced(self, data: bytes) -> AsyncIterator[bytes]:
        while data:
            rate = self._faults.bandwidth
            size = len(data) if rate is None else max(1, int(rate * _SLICE_SECONDS))
            piece, data = data[:size], data[size:]
            yield piece
            if rate is not None:
                await asyncio.sleep(len(piece) / rate)


async def route(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    target: tuple[str, int],
    faults: Faults,
    routes: set[Route],
) -> None:
    """Connect to the target and pass bytes both ways; if it refuses, the client is reset."""
    await faults.until_flowing()
    server = await asyncio.open_connection(*target)
    each = Route((reader, writer), server, faults)
    routes.add(each)
    try:
        await each.run()
    except asyncio.CancelledError:
        each.reset()
        raise
    finally:
        routes.discard(each)
