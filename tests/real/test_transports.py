from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import pytest

from tests.conftest import needs_uvloop
from wsfleet._wire import transports
from wsfleet._wire.dialing import open_socket
from wsfleet._wire.push import PushLink, PushStream
from wsfleet.testing import MockServer

if TYPE_CHECKING:
    from typing import Self


class Cancelled(PushLink):
    """A link whose connecting is cancelled in the moment in which TLS is ready."""

    made: list[Cancelled]
    task: asyncio.Task[None]

    def __new__(cls) -> Self:
        link = super().__new__(cls)
        cls.made.append(link)
        return link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.task.cancel()


async def connect(server: MockServer) -> None:
    """Do what an attempt to connect does, which closes its stream whatever happens."""
    Cancelled.made, Cancelled.task = [], asyncio.current_task()  # type: ignore[assignment]
    port = urlsplit(server.url).port
    assert port is not None
    stream = PushStream(await open_socket("127.0.0.1", port, None))
    try:
        await stream.start_tls(server.client_ssl_context, "127.0.0.1")  # type: ignore[arg-type]
    finally:
        await stream.aclose()


@pytest.mark.parametrize(
    ("use_uvloop", "fast"),  # uvloop's own TLS closes its socket, and tells nobody
    [(False, True), (False, False), pytest.param(True, True, marks=needs_uvloop)],
)
def test_a_connection_that_is_cancelled_as_tls_is_ready_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, use_uvloop: bool, fast: bool
) -> None:
    """The event loop watches no socket that was closed: its number is soon another one's."""

    async def run() -> None:
        async with MockServer(ssl=True) as server:
            task = asyncio.create_task(connect(server))
            with pytest.raises(asyncio.CancelledError):
                await task
            (link,) = Cancelled.made
            for _ in range(3):
                await asyncio.sleep(0)
            assert link._lost is not None, "the transport was not closed with its socket"

    monkeypatch.setattr("wsfleet._wire.push.PushLink", Cancelled)
    if not fast:
        monkeypatch.setattr(transports, "_fast", None)
    options: dict[str, Any] = {"use_uvloop": use_uvloop}
    anyio.run(run, backend_options=options)
