"""
A payload that comes in pieces.

Rule 1: every byte is copied at most twice, however many pieces there are.
Rule 2: what is held takes hardly more memory than its bytes: an object for each of a million
tiny pieces would take thirty times as much, and a peer chooses how small they are.
"""

from __future__ import annotations

from typing import Final

_FEW: Final = 1024


class Pieces:
    """
    Bytes that are collected and taken whole.

    Attributes:
        size: of all that is held.
    """

    __slots__ = ("_blocks", "_pieces", "size")

    def __init__(self) -> None:
        self.size: int = 0
        self._blocks: list[bytes] = []
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        """Hold a piece more; an empty one takes no room."""
        if not piece:
            return
        self.size += len(piece)
        self._pieces.append(piece)
        if len(self._pieces) == _FEW:
            self._blocks.append(b"".join(self._pieces))
            self._pieces = []

    def take(self) -> bytes:
        """Return all of them, joined, and hold nothing."""
        whole = b"".join(self._blocks + self._pieces)
        self.size = 0
        self._blocks = []
        self._pieces = []
        return whole
