"""
The link over a plain socket where no event loop pushes: trio.

What can go out at once goes out at once, in the step that wrote it; only what the network does
not take at once waits for the writer task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from .pull import READ_SIZE, PullLink

if TYPE_CHECKING:
    import socket
    from contextlib import AsyncExitStack

    from .exchange import Continued
    from .link import Taker


class PollLink(PullLink):
    """
    Satisfies `Link` with a socket that is asked when it is ready.

    Args:
        plain: the socket under the stream.
        stream: from where the head of the server's answer ended.
        resources: what lives as long as the stream, and closes it.
    """

    __slots__ = ("_broken", "_leading", "_socket")

    def __init__(
        self, plain: socket.socket, stream: Continued, resources: AsyncExitStack
    ) -> None:
        super().__init__(stream, resources)
        self._socket = plain
        self._leading = stream.leading
        self._broken: OSError | None = None

    def start(self, taker: Taker) -> None:
        super().start(taker)
        if self._leading:
            taker.feed(self._leading)

    def write(self, data: bytes) -> None:
        if not self._buffered and not self._aborted:
            data = data[self._send_now(data) :]
        if data:
            super().write(data)

    def _send_now(self, data: bytes) -> int:
        """Return how much of it the network took."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as exc:
            self._broken = exc
            self.abort()
            return len(data)

    async def _receive(self) -> bytes:
        while True:
            await anyio.wait_readable(self._socket)
            try:
                return self._socket.recv(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                continue

    async def _send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            await anyio.wait_writable(self._socket)
            try:
                left = left[self._socket.send(left) :]
            except (BlockingIOError, InterruptedError):
                continue

    def _finish(self, broken: Exception | None) -> None:
        super()._finish(broken or self._broken)
