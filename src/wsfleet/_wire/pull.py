"""
The link over any httpcore stream: TLS on trio, a proxy, an in-process ASGI app.

A reader and a writer task live in `pump`. A cancelled caller never interrupts a write: callers
only fill the buffer, and the writer is cancelled only when the whole link is given up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import anyio
from anyio.lowlevel import checkpoint

from .link import HIGH_WATER, LOW_WATER

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    import httpcore

    from .link import Taker

READ_SIZE: Final = 64 * 1024


class PullLink:
    """
    Satisfies `Link` by reading a stream.

    Args:
        stream: where bytes come from and go to.
        resources: what lives as long as the stream, and closes it.
    """

    __slots__ = (
        "_aborted",
        "_buffer",
        "_buffered",
        "_filled",
        "_resources",
        "_resumed",
        "_scope",
        "_stream",
        "_taker",
        "full",
    )

    pumped: ClassVar[bool] = True

    def __init__(self, stream: httpcore.AsyncNetworkStream, resources: AsyncExitStack) -> None:
        self.full: bool = False
        self._stream = stream
        self._resources = resources
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._filled = anyio.Event()
        self._resumed = anyio.Event()
        self._resumed.set()
        self._scope = anyio.CancelScope()
        self._aborted = False
        self._taker: Taker | None = None

    def is_closing(self) -> bool:
        return self._aborted

    def start(self, taker: Taker) -> None:
        self._taker = taker

    def write(self, data: bytes) -> None:
        if self._aborted:
            return
        self._buffer.append(data)
        self._buffered += len(data)
        self.full = self._buffered > HIGH_WATER
        self._filled.set()

    def pause_reading(self) -> None:
        if self._resumed.is_set():
            self._resumed = anyio.Event()

    def resume_reading(self) -> None:
        self._resumed.set()

    def abort(self) -> None:
        self._aborted = True
        self._scope.cancel()

    async def pump(self) -> None:
        broken: Exception | None = None
        with self._scope:
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._write_all)
                    await self._read_all()
                    tasks.cancel_scope.cancel()
            except* Exception as errors:  # noqa: BLE001 - the stream may be anybody's: whatever it raises, it is lost
                broken = _first(errors)
        self._finish(broken)

    async def _read_all(self) -> None:
        assert self._taker is not None
        if self._taker.behind:
            await self._catch_up(self._taker)
        while data := await self._receive():
            self._taker.feed(data)
            if self._taker.behind:
                await self._catch_up(self._taker)
            if not self._resumed.is_set():
                await self._resumed.wait()

    async def _catch_up(self, taker: Taker) -> None:
        """Let other tasks run between the parts of what was read."""
        while taker.behind:
            await checkpoint()
            await self._resumed.wait()
            taker.feed(b"")

    async def _receive(self) -> bytes:
        """Return what comes next, and b"" at the end."""
        return await self._stream.read(READ_SIZE)

    async def _send(self, data: bytes) -> None:
        """Write all of it."""
        await self._stream.write(data)

    async def _write_all(self) -> None:
        while True:
            await self._filled.wait()
            self._filled = anyio.Event()
            data, self._buffer = b"".join(self._buffer), []
            await self._send(data)
            self._taken(len(data))

    def _taken(self, size: int) -> None:
        self._buffered -= size
        if self.full and self._buffered <= LOW_WATER:
            self.full = False
            if self._taker is not None:
                self._taker.on_writable()

    def _finish(self, broken: Exception | None) -> None:
        self._aborted = True
        taker, self._taker = self._taker, None
        if taker is not None:
            taker.on_link_ended(broken)

    async def aclose(self) -> None:
        await self._resources.aclose()


def _first(errors: BaseExceptionGroup[Exception]) -> Exception:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error
