"""`wsfleet replay`: a recording on stdout, or as an endpoint that clients connect to."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from wsfleet.errors import RecordingError, WsfleetError
from wsfleet.recording import CloseFrame, Entry

from .output import complain, one_line, show, stop_on_signal

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

Playing: TypeAlias = Callable[[], AsyncIterator[Entry]]
"""Plays the recording from its beginning."""

_MARKS: Final = {"in": "< ", "out": "> "}


class Shown(StrEnum):
    """Which messages are printed."""

    IN = "in"
    OUT = "out"
    BOTH = "both"


async def print_recording(playing: Playing, shown: Shown) -> None:
    """
    Print the messages of a recording, one a line, until its end or a signal.

    Raises:
        RecordingError: a line cannot be read; what comes before it was printed.
        OSError: the file cannot be read.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop_on_signal, tasks.cancel_scope)
        try:
            async for entry in playing():
                _print(entry, shown)
        except (OSError, WsfleetError) as exc:
            failure = exc  # raised again after the task group, which would wrap it
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _print(entry: Entry, shown: Shown) -> None:
    if isinstance(entry.data, CloseFrame) or shown not in {Shown.BOTH, entry.direction}:
        return
    mark = _MARKS[entry.direction] if shown is Shown.BOTH else ""
    show(mark + one_line(entry.data))


async def serve_recording(playing: Playing, port: int) -> None:
    """
    Serve what came in to each client that connects, until a signal.

    Raises:
        RecordingError: the first line cannot be read.
        OSError: the file cannot be read, or the port cannot be had.
    """
    await _look(playing)
    # A client that goes in the middle of a handshake is no news.
    logging.getLogger("websockets.server").setLevel(logging.CRITICAL)

    async def handle(connection: ServerConnection) -> None:
        await _play(playing, connection)

    async with serve(handle, "127.0.0.1", port) as server:
        chosen = next(iter(server.sockets)).getsockname()[1]
        complain(f"serving the recording on ws://127.0.0.1:{chosen}")
        await stop_on_signal(anyio.CancelScope())


async def _look(playing: Playing) -> None:
    """Raise now what would otherwise be raised at the first client."""
    async for _ in playing():
        return


async def _play(playing: Playing, connection: ServerConnection) -> None:
    """Send what came in, for as long as the client is there; what it sends is ignored."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_outlast, connection, tasks.cancel_scope)
        with suppress(ConnectionClosed):
            await _send_all(playing, connection)
        tasks.cancel_scope.cancel()


async def _outlast(connection: ServerConnection, scope: anyio.CancelScope) -> None:
    with suppress(ConnectionClosed):
        async for _ in connection:
            pass
    scope.cancel()


async def _send_all(playing: Playing, connection: ServerConnection) -> None:
    try:
        async for entry in playing():
            if entry.direction == "in" and not isinstance(entry.data, CloseFrame):
                await connection.send(entry.data)
    except (OSError, RecordingError) as exc:
        complain(str(exc))
        await connection.close(1011, "the recording cannot be read")
    else:
        await connection.close(1000, "the recording is over")
