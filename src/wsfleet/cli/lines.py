"""
Lines of stdin, without ever blocking the event loop or the end of the program.

A thread of its own reads the descriptor: pipes, files and terminals alike. It is a daemon and
holds no lock of Python's, so that the program can end while it waits for a line.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_READ_SIZE: Final = 64 * 1024


async def read_lines(fd: int) -> AsyncIterator[str]:
    """
    Yield the lines of a descriptor without their ends, until it ends; empty ones are left out.
    """
    chunks: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    room = threading.Semaphore(16)  # what is read ahead is bounded

    def pump() -> None:
        while True:
            room.acquire()
            try:
                chunk = os.read(fd, _READ_SIZE)
            except OSError:  # stdin is closed
                chunk = b""
            try:
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            except RuntimeError:  # the loop is closed: nobody listens
                return
            if not chunk:
                return

    threading.Thread(target=pump, name="stdin", daemon=True).start()
    rest = b""
    while chunk := await chunks.get():
        room.release()
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if text := _text(line):
                yield text
    if text := _text(rest):
        yield text


def _text(line: bytes) -> str:
    return line.decode(errors="replace").strip()
