"""
What passed, on its way to the disk: at most so much.

Rule 1: the event loop puts, and a thread takes; each counter has one writer, so that there is
no lock between them.
Rule 2: putting never waits; what does not fit is counted, not kept.
Rule 3: what was taken counts as held until it is written.
"""

from __future__ import annotations

from collections import deque
from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple

from wsfleet._wire.frames import Opcode
from wsfleet._wire.signals import Changes
from wsfleet.recording.lines import binary_line, close_line, text_line

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ENTRIES: Final = 65_536
"""Entries held at most."""

MAX_BYTES: Final = 16 * 1024 * 1024
"""Bytes of messages held at most; a single larger message is taken when nothing is held."""

_PIECE: Final = 256 * 1024
"""Bytes of lines after which a piece is written."""

_LINES: Final = {
    Opcode.TEXT: text_line,
    Opcode.BINARY: binary_line,
    Opcode.CLOSE: close_line,
}


class Piece(NamedTuple):
    """
    Lines that are written together.

    Attributes:
        lines: their bytes.
        entries: how many they are.
        size: the bytes of the messages in them.
    """

    lines: bytes
    entries: int
    size: int


class Tape:
    """
    Holds what passed until it is written.

    Args:
        max_entries: that it holds.
        max_bytes: of messages that it holds.
    """

    __slots__ = (
        "_changes",
        "_ended",
        "_entries",
        "_max_bytes",
        "_max_entries",
        "_put",
        "_put_bytes",
        "_written",
        "_written_bytes",
        "dropped",
    )

    def __init__(self, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self.dropped: int = 0
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: deque[tuple[int, str, Opcode, bytes]] = deque()
        self._put = self._put_bytes = 0
        self._written = self._written_bytes = 0
        self._changes = Changes()
        self._ended = False

    # the event loop's side

    @property
    def held(self) -> int:
        """Entries that are not written yet."""
        return self._put - self._written

    @property
    def held_bytes(self) -> int:
        """Bytes of messages that are not written yet."""
        return self._put_bytes - self._written_bytes

    def put(self, direction: str, opcode: Opcode, payload: bytes) -> None:
        """Take in what passed, or count it where there is no room."""
        if self._ended:
            return
        size = len(payload)
        held = self._put - self._written
        if held and (
            held >= self._max_entries
            or self._put_bytes - self._written_bytes + size > self._max_bytes
        ):
            self.dropped += 1
            return
        self._put += 1
        self._put_bytes += size
        self._entries.append((time_ns(), direction, opcode, payload))
        self._changes.tell()

    async def filled(self) -> bool:
        """Return once there is something to write; False when nothing more will come."""
        while not (self._entries or self._ended):
            await self._changes.next()
        return not self._ended

    def end(self) -> None:
        """Take no more in; what is held may still be written."""
        self._ended = True
        self._changes.tell()

    # the thread's side

    def pieces(self) -> Iterator[Piece]:
        """Take what is there at this moment, some lines at a time."""
        left = len(self._entries)
        while left:
            piece = self._next_piece(left)
            left -= piece.entries
            yield piece
            self._written += piece.entries
            self._written_bytes += piece.size

    def _next_piece(self, most: int) -> Piece:
        lines: list[bytes] = []
        size = length = 0
        while len(lines) < most and length < _PIECE:
            time, direction, opcode, payload = self._entries.popleft()
            line = _LINES[opcode](time, direction, payload)
            lines.append(line)
            size += len(payload)
            length += len(line)
        return Piece(b"".join(lines), len(lines), size)

    def give_up(self) -> None:
        """Take no more in, and forget what is held: nothing can be written."""
        self._ended = True
        self._entries.clear()
