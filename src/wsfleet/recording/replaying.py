"""
A recording played again, at its own pace or as fast as it can be read.

Rule: a thread reads the file, some entries ahead; the event loop never waits for the disk.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
from anyio.lowlevel import checkpoint

from wsfleet.errors import ConfigError, RecordingError

from .entries import CloseFrame
from .reading import read

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Iterator
    from datetime import datetime

    from .entries import Entry

_AHEAD: Final = 512
"""Entries that are read ahead at most."""

_BYTES_AHEAD: Final = 1024 * 1024
"""Bytes, or characters, of which so many are read ahead, and one entry more."""

_in_thread = anyio.to_thread.run_sync


def replay(
    path: str | os.PathLike[str], *, realtime: bool = False, speed: float = 1.0
) -> AsyncIterator[Entry]:
    """
    Iterate over the entries of a recording, `async for`.

    Args:
        path: the recording.
        realtime: whether to wait between entries as long as there was between them; without it
            they come as fast as they can be read.
        speed: how many times faster than it was, with `realtime`.

    Raises:
        ConfigError: `speed` is not a number above 0.
        RecordingError: when it is reached: a line cannot be read.
        OSError: at the first entry: the file cannot be read.

    Cancelling it closes the file once the iterator is gone; nothing else is held.
    """
    if not (math.isfinite(speed) and speed > 0):
        raise ConfigError("speed", f"must be a finite number above 0, not {speed!r}")
    return _Replay(read(path), speed if realtime else None)


class _Replay:
    __slots__ = ("_ahead", "_entries", "_error", "_speed", "_start")

    def __init__(self, entries: Iterator[Entry], speed: float | None) -> None:
        self._entries = entries
        self._speed = speed
        self._ahead: deque[Entry] = deque()
        self._error: Exception | None = None
        self._start: tuple[datetime, float] | None = None

    def __aiter__(self) -> _Replay:
        """Return itself."""
        return self

    async def __anext__(self) -> Entry:
        """Return the next entry, when its time has come."""
        if self._ahead:
            await checkpoint()
        else:
            await self._read_ahead()
        await self._await_turn(self._ahead[0])
        return self._ahead.popleft()

    async def _read_ahead(self) -> None:
        if self._error is None:
            await _in_thread(self._take)
        if not self._ahead:
            if self._error is None:
                raise StopAsyncIteration
            raise self._error.with_traceback(None)  # once more: its traceback is not to grow

    def _take(self) -> None:
        """Read as many entries as may be held; an error waits behind them."""
        size = 0
        try:
            for entry in self._entries:
                self._ahead.append(entry)
                size += 0 if isinstance(entry.data, CloseFrame) else len(entry.data)
                if size >= _BYTES_AHEAD or len(self._ahead) >= _AHEAD:
                    break
        except (OSError, RecordingError) as exc:
            self._error = exc

    async def _await_turn(self, entry: Entry) -> None:
        if self._speed is None:
            return
        if self._start is None:
            self._start = entry.time, anyio.current_time()
        first, started_at = self._start
        due = started_at + (entry.time - first).total_seconds() / self._speed
        if (delay := due - anyio.current_time()) > 0:
            await anyio.sleep(delay)
