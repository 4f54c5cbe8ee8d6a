"""
A message that comes in pieces, in plain Python.

Rule 1: every byte is copied a fixed number of times, however many pieces there are.
Rule 2: a piece is copied when it comes and let go: the memory of a read is then used for the
next one, which on Linux takes half the time of fresh memory.
Rule 3: what is held takes hardly more memory than its bytes, however small a peer makes them.
Rule 4: `native/pieces.c` has the twin of this class.
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

    def add(self, piece: bytes | memoryview, more: int = 0) -> None:  # noqa: ARG002 - for the twin
        """
        Hold a piece more.

        Args:
            piece: the next bytes.
            more: bytes that were announced to come after it.
        """
        self._held += piece

    def place(self, most: int) -> memoryview | None:  # noqa: ARG002 - for the twin
        """
        Return where at most so many of the bytes that come next can be put, or None: a
        bytearray that is looked into cannot grow.

        Args:
            most: bytes.
        """
        return None

    def placed(self, size: int) -> None:
        """
        Hold the first bytes that were put into `place`.

        Args:
            size: how many.
        """
        raise NotImplementedError

    def take(self) -> bytearray:
        """Return all of them, and hold nothing."""
        whole, self._held = self._held, bytearray()
        return whole

    def take_text(self) -> str:
        """
        Return all of them as text, and hold nothing.

        Raises:
            UnicodeDecodeError: they are not UTF-8.
        """
        return self.take().decode()
