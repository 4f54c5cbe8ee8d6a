"""
The straight way out: a small message that nothing stands in the way of, in plain Python.

Rule 1: it is sent whole in this one step, or nothing has happened.
Rule 2: `native/offering.c` has the twin of this class, which does the same.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from .masking import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from .link import Link

PIECE: Final = 256 * 1024
"""Bytes of a message that are masked in one go; a larger message goes through an outbox."""


class Offering:
    """
    Sends what can go out at once and as it is; a subclass sends the rest.

    Args:
        link: the bytes below.
    """

    __slots__ = ("_deflater", "_is_closing", "_link", "_outbox", "_thread", "ending")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._thread = get_ident()
        self._is_closing: Callable[[], bool] = link.is_closing
        # What stands in the way of a straight send where it is there, set by the subclass.
        self.ending: Any = None
        self._outbox: Any = None
        self._deflater: Any = None

    def offer(self, opcode: int, payload: str | bytes) -> bool:
        """
        Send a message at once, whole, where nothing stands in the way of that: the connection
        is open and has room, nothing waits before it, it is small and not to be compressed, and
        this is the thread in which the connection was made.

        Args:
            opcode: its kind.
            payload: its bytes, or a text.

        Returns:
            Whether it was sent. If not, nothing has happened, and to find out why is the
            caller's.
        """
        if (
            get_ident() != self._thread
            or self.ending is not None
            or self._outbox is not None
            or self._deflater is not None
            or self._link.full
            or len(payload) > PIECE
            or self._is_closing()
        ):
            return False
        if type(payload) is str:
            if not payload.isascii():
                return False
            payload = payload.encode()
        elif type(payload) is not bytes:
            return False
        self._link.write(encode(opcode, payload))
        return True
