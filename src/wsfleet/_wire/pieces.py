"""
A payload that comes in pieces.

Rule 1: every byte is copied a fixed number of times, however many pieces there are.
Rule 2: a piece is copied when it comes and let go: the memory of a read is then used for the
next one, which on Linux takes half the time of fresh memory.
Rule 3: what is held takes hardly more memory than its bytes, however small a peer makes them.
"""

from __future__ import annotations


class Pieces:
    """Bytes that are collected and taken whole."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def size(self) -> int:
        """How many are held."""
        return len(self._held)

    def add(self, piece: bytes | bytearray) -> None:
        """Hold a piece more."""
        self._held += piece

    def take(self) -> bytearray:
        """Return all of them, and hold nothing."""
        whole, self._held = self._held, bytearray()
        return whole
