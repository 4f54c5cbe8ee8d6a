"""What every measurement is given, and what it returns."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import ssl
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

AT_ONCE: Final = 50
"""Connections that are being opened at any moment."""


@dataclass(frozen=True)
class Job:
    """
    One measurement of one library.

    Attributes:
        peer: the library.
        what: the function to call.
        loop: "asyncio", "uvloop" or "trio".
        url: of the server.
        ca: the file with the TLS authority, or "".
        count: messages, or connections.
        size: bytes of a message; clients of a pool.
    """

    peer: str
    what: str
    loop: str
    url: str
    ca: str
    count: int
    size: int

    @cached_property
    def tls(self) -> ssl.SSLContext | None:
        """What to trust, if it is TLS."""
        return ssl.create_default_context(cafile=self.ca) if self.ca else None

    @property
    def text(self) -> str:
        """A message of the size that is asked for."""
        return "x" * self.size

    @property
    def command(self) -> str:
        """What to ask the server for."""
        return f"{self.what.upper()} {self.count} {self.size}"


@dataclass(frozen=True)
class Measured:
    """
    What one measurement took.

    Attributes:
        wall: seconds.
        cpu: seconds of this process, on all its threads.
        memory: bytes that the process grew by.
    """

    wall: float
    cpu: float
    memory: int = 0

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


class Watch:
    """Begins to measure when it is made."""

    def __init__(self) -> None:
        self._memory = _resident()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> Measured:
        """Return what was taken up to now; memory without what is only garbage."""
        wall, cpu = time.perf_counter(), time.process_time()
        gc.collect()
        return Measured(wall - self._wall, cpu - self._cpu, _resident() - self._memory)


def _resident() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux: the peak is better than nothing
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


async def open_many(
    open_one: Callable[[], Awaitable[Any]], count: int
) -> tuple[list[Any], Measured]:
    """Open connections and hold them; return them and what they took."""
    held = [await open_one()]  # what the first one loads is not counted
    gc.collect()
    watch = Watch()
    for begin in range(0, count, AT_ONCE):
        some = range(min(AT_ONCE, count - begin))
        held += await asyncio.gather(*(open_one() for _ in some))
    return held, watch.read()
