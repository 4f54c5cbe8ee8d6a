"""
The straight way through a read: frames that are whole messages, one after the other, in plain
Python.

Rule 1: one loop without calls of our own; each would cost a tenth of the speed.
Rule 2: `native/decoder.c` has the twin of this class, which gives the same for the same bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from .frames import Opcode
from .pieces import Pieces

if TYPE_CHECKING:
    from collections.abc import Callable

# The first two bytes of a frame that is a whole message, as one number, and the two after them:
# all of its header, unless its length takes 64 bits.
_read_head: Final = struct.Struct("!HH").unpack_from
_LONG_ENOUGH: Final = 4
_FIN: Final = 0x80
_LENGTH: Final = 0x7F
_LENGTH_16: Final = 126
_LONGEST_7: Final = 125
_LONGEST_16: Final = 0xFFFF
_TEXT_0: Final = (_FIN | Opcode.TEXT) << 8
_TEXT_125: Final = _TEXT_0 | _LONGEST_7
_TEXT_16: Final = _TEXT_0 | _LENGTH_16
_BINARY_0: Final = (_FIN | Opcode.BINARY) << 8
_BINARY_125: Final = _BINARY_0 | _LONGEST_7
_EITHER_16: Final = (_TEXT_16, _BINARY_0 | _LENGTH_16)


MOST_FRAMES: Final = 4096
"""
Frames that are taken in one call: 256 KiB may hold 131,072, and a server that sends as many
would block the event loop for seconds. A call with so many small ones takes some milliseconds.
"""


class Receiver(Protocol):
    """Who takes what was decoded, in order."""

    def on_text(self, data: Any) -> None:
        """Take a text message, as the text factory made it."""

    def on_binary(self, data: bytes) -> None:
        """Take a binary message."""

    def on_ping(self, payload: bytes) -> None:
        """Take a ping."""

    def on_pong(self, payload: bytes) -> None:
        """Take a pong."""

    def on_close(self, code: int | None, reason: str) -> None:
        """Take the peer's goodbye; nothing comes after it."""


class StraightDecoder:
    """
    Takes the frames that are whole messages; a subclass takes all others.

    Args:
        receiver: takes what was decoded; what it raises comes out of `feed` as it is.
        max_message_size: bytes of the largest message, or None.
        text_factory: makes of a text message's bytes what the receiver gets; raises
            `UnicodeDecodeError` where they are not UTF-8.

    Attributes:
        behind: whether bytes that were fed still wait: `feed` has taken `MOST_FRAMES` of them.
        size: bytes of the message that is being delivered, inflated.
    """

    __slots__ = (
        "_busy",
        "_left",
        "_limit",
        "_message",
        "_missing",
        "_opened_by",
        "_receiver",
        "_rest",
        "_stopped",
        "_text_factory",
        "behind",
        "size",
    )

    def __init__(
        self,
        receiver: Receiver,
        max_message_size: int | None,
        text_factory: Callable[[bytes], Any],
    ) -> None:
        self.size: int = 0
        self._receiver = receiver
        self._limit = max_message_size
        self._text_factory = text_factory
        self._stopped = False
        self._busy = False
        self._left = 0  # frames that may still be taken in this call of `feed`
        self.behind: bool = False
        self._message = Pieces()  # what came of a message that has not come whole
        self._rest = b""  # bytes of a frame that is not taken before it has come whole
        self._missing = 0  # bytes of a frame's payload that have not come
        # A message whose fragments have not all come: the first byte of its first frame, or 0.
        self._opened_by = 0

    def feed(self, data: bytes | memoryview) -> None:
        """
        Decode a read, up to `MOST_FRAMES` frames; the rest waits for the next call.

        Args:
            data: what was read; b"" to go on where the decoder is `behind`.

        Raises:
            ProtocolViolation: the peer broke a rule; what came before has been delivered, what
                comes after is ignored.
            RuntimeError: the receiver called it from one of its methods.
        """
        if self._stopped:
            self.behind = False
            return
        if self._busy:
            raise RuntimeError("a receiver fed the decoder that called it")
        self._busy = True
        self._left = MOST_FRAMES
        self.behind = False
        try:
            self._take_all(bytes(data))
        except BaseException:
            # Where in the stream we are is not known any more.
            self._stopped = True
            raise
        finally:
            self._busy = False

    def place(self) -> memoryview | None:
        """
        Return where the next bytes can be put instead of being fed: the rest of a large frame
        need not be copied. None where there is no such place, as always in plain Python.
        """
        return None

    def _take_all(self, data: bytes) -> None:
        pos = 0
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if self._missing:
            pos = self._continue(data, pos)
        while pos >= 0:
            pos = self._take_whole(data, pos)
            if self._stopped or pos == len(data):
                return
            if self._left <= 0:
                self._rest = bytes(data[pos:])
                self.behind = True
                return
            self._left -= 1
            pos = self._take_next(data, pos)

    def _take_whole(self, data: bytes, pos: int) -> int:
        """
        Take frames that are whole messages, up to the first of another kind; return where that
        begins.
        """
        end = len(data)
        last = -1 if self._opened_by else end - _LONG_ENOUGH
        limit = _LONGEST_16 if self._limit is None else self._limit
        on_text, on_binary = self._receiver.on_text, self._receiver.on_binary
        text_factory = self._text_factory
        left = self._left
        while pos <= last and left > 0 and not self._stopped:
            head, size = _read_head(data, pos)
            if head in _EITHER_16:
                start = pos + 4
                if size <= _LONGEST_7:
                    return pos
            elif _TEXT_0 <= head <= _TEXT_125 or _BINARY_0 <= head <= _BINARY_125:
                start = pos + 2
                size = head & _LENGTH
            else:
                return pos
            after = start + size
            if after > end or size > limit:
                return pos
            pos = after
            self._left = left = left - 1
            self.size = size
            if head <= _TEXT_16:
                try:
                    text = text_factory(data[start:after])
                except UnicodeDecodeError:
                    self._not_utf8()
                on_text(text)
            else:
                on_binary(data[start:after])
        return pos

    # what a subclass does

    def _continue(self, data: bytes, pos: int) -> int:
        """
        Take what a read has of a frame that has not come whole; return where the next one
        begins, or a negative number when all of the read was taken.
        """
        raise NotImplementedError

    def _take_next(self, data: bytes, pos: int) -> int:
        """
        Take one frame of any kind; return where the next begins, or a negative number when this
        one has not come whole: what there is of it is kept.
        """
        raise NotImplementedError

    def _place(self) -> memoryview | None:
        """Return where the rest of a large frame can be put."""
        raise NotImplementedError

    def _not_utf8(self) -> NoReturn:
        """Raise what a text that is not UTF-8 is."""
        raise NotImplementedError
