"""
Large messages on their way out, and what waits behind them.

Rule 1: a large message is masked piece by piece, as the network takes it: its frame is never
held whole, and the time per byte does not grow with it.
Rule 2: frames go out in the order in which they were added; none is ever inside another.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Final

from .masking import head_64
from .offering import PIECE
from .speedups import masked_piece

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .link import Link

_FIN: Final = 0x80
_RSV1: Final = 0x40
_MASKED_64: Final = 0x80 | 127


class Outbox:
    """
    Writes to a link what waits to be written, whenever that has room.

    Args:
        link: the one; its `full` says when to wait.
    """

    __slots__ = ("_link", "_waiting")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._waiting: deque[Iterator[bytes]] = deque()

    def add(self, frame: bytes) -> None:
        """Write a frame after those that wait."""
        self._waiting.append(iter((frame,)))

    def add_large(self, opcode: int, payload: bytes | str, *, compressed: bool) -> None:
        """
        Write a message of more than `PIECE` bytes after those that wait.

        Args:
            opcode: its kind.
            payload: its bytes, or a text of ASCII characters, encoded piece by piece.
            compressed: whether they are.
        """
        self._waiting.append(_pieces(opcode, payload, compressed=compressed))

    def flow(self) -> bool:
        """Write what the link has room for; return whether that was all."""
        while self._waiting and not self._link.full and not self._link.is_closing():
            piece = next(self._waiting[0], None)
            if piece is None:
                self._waiting.popleft()
            else:
                self._link.write(piece)
        return not self._waiting


def _pieces(opcode: int, payload: bytes | str, *, compressed: bool) -> Iterator[bytes]:
    """Return one final, masked client frame (RFC 6455 section 5.2), in pieces."""
    first = _FIN | _RSV1 | opcode if compressed else _FIN | opcode
    key = os.urandom(4)
    head = head_64(first, _MASKED_64, len(payload), key)
    for at in range(0, len(payload), PIECE):
        yield masked_piece(head, payload, at, PIECE, key)
        head = b""
