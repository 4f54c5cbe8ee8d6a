"""
Large messages on their way out, and what waits behind them.

Rule 1: a large message is masked piece by piece, as the network takes it: its frame is never
held whole, and the time per byte does not grow with it.
Rule 2: frames go out in the order in which they were added; none is ever inside another.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Final

from .speedups import mask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .link import Link

PIECE: Final = 256 * 1024
"""Bytes of a message that are masked in one go; a larger message goes through an outbox."""

_head_64: Final = struct.Struct("!BBQ4s").pack
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

    def add_large(self, opcode: int, payload: bytes, *, compressed: bool) -> None:
        """Write a message of more than `PIECE` bytes after those that wait."""
        self._waiting.append(_pieces(opcode, payload, compressed=compressed))

    def flow(self) -> bool:
        """Write what the link has room for; return whether that was all."""
        for piece in chain.from_iterable(self._left()):
            self._link.write(piece)
            if self._link.full:
                break
        return not self._waiting

    def _left(self) -> Iterator[Iterator[bytes]]:
        while self._waiting:
            yield self._waiting[0]
            self._waiting.popleft()


def _pieces(opcode: int, payload: bytes, *, compressed: bool) -> Iterator[bytes]:
    """Return one final, masked client frame (RFC 6455 section 5.2), in pieces."""
    first = _FIN | _RSV1 | opcode if compressed else _FIN | opcode
    key = os.urandom(4)
    view = memoryview(payload)
    yield _head_64(first, _MASKED_64, len(view), key) + mask(view[:PIECE], key)
    for at in range(PIECE, len(view), PIECE):
        yield mask(view[at : at + PIECE], key)
