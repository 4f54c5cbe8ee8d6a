"""A TCP listener that knows its connections, so that they can be reset all at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

from .sockets import listen, reset, stop_accepting

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class StreamListener:
    """Serves TCP connections on 127.0.0.1 and keeps its port through `stop` and `start`."""

    def __init__(self, serve: Serve, ssl_context: ssl.SSLContext | None = None) -> None:
        self.port: int = 0
        self.writers: set[asyncio.StreamWriter] = set()
        self._serve = serve
        self._ssl = ssl_context
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, on the port of the last time."""
        if self._server is None:
            listener = listen(self.port)
            self.port = listener.getsockname()[1]
            self._server = await asyncio.start_server(self._run, sock=listener, ssl=self._ssl)

    async def stop(self) -> None:
        """Stop listening, reset every connection and wait until nobody serves one."""
        server, self._server = self._server, None
        if server is not None:
            await stop_accepting(server.sockets)
            server.close()
        self.reset()
        for task in self._tasks:
            task.cancel()
        await self.join()

    async def join(self) -> None:
        """Wait until nobody serves a connection of this moment."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def reset(self) -> None:
        """Reset every connection."""
        for writer in self.writers:
            reset(writer.transport)

    def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._run_one(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.writers.add(writer)
        try:
            await self._serve(reader, writer)
        except OSError:
            reset(writer.transport)  # the peer is gone
        except asyncio.CancelledError:
            reset(writer.transport)
            raise
        finally:
            self.writers.discard(writer)
            writer.close()
