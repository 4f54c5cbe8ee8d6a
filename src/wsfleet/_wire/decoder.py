"""
Bytes from the server become messages (RFC 6455 sections 5 and 8.1).

Rule 1: this module does no I/O and holds no clock; whatever the split of the bytes, the
messages are the same.
Rule 2: a frame is judged by its header, before its payload is kept: nothing that is too large
is ever held.
Rule 3: every byte is copied a fixed number of times, however many reads or fragments a message
takes.
Rule 4: only the text factory says what is not UTF-8; an error of the receiver's is never taken
for a violation.
Rule 5: a length that is not in its shortest form is refused (section 5.2 says MUST; wsproto
does so, `websockets` lets it pass).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, Protocol

from .frames import CloseCode, Opcode, ProtocolViolation, decode_utf8, parse_close
from .pieces import Pieces

if TYPE_CHECKING:
    from collections.abc import Callable

    from .deflate import Inflater

_FIN: Final = 0x80
_RSV1: Final = 0x40
_RSV23: Final = 0x30
_RSV: Final = _RSV1 | _RSV23
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH_16: Final = 126
_LONGEST_7: Final = 125
_LONGEST_16: Final = 0xFFFF
_LONGEST_64: Final = (1 << 63) - 1
_LONGEST_CONTROL: Final = 125
_FIRST_CONTROL: Final = 0x8
_KNOWN: Final = frozenset(int(opcode) for opcode in Opcode)
_NONE: Final = -1
_SHORTEST_HEADER: Final = 2
_LENGTH: Final = 0x7F

# The first two bytes of a frame that is a whole message, as one number, and the two after them:
# all of its header, unless its length takes 64 bits.
_read_head: Final = struct.Struct("!HH").unpack_from
_LONG_ENOUGH: Final = 4
_TEXT_0: Final = (_FIN | Opcode.TEXT) << 8
_TEXT_125: Final = _TEXT_0 | _LONGEST_7
_TEXT_16: Final = _TEXT_0 | _LENGTH_16
_BINARY_0: Final = (_FIN | Opcode.BINARY) << 8
_BINARY_125: Final = _BINARY_0 | _LONGEST_7
_EITHER_16: Final = (_TEXT_16, _BINARY_0 | _LENGTH_16)


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


class Decoder:
    """
    Decodes what one server sends over one connection.

    Args:
        receiver: takes what was decoded; what it raises comes out of `feed` as it is.
        max_message_size: bytes of the largest message, inflated and over all its fragments, or
            None.
        text_factory: makes of a text message's bytes what the receiver gets; raises
            `UnicodeDecodeError` where they are not UTF-8.
        inflater: inflates compressed messages, where compression was negotiated.
    """

    __slots__ = (
        "_busy",
        "_collected_text_factory",
        "_first",
        "_fragments",
        "_inflater",
        "_max_size",
        "_missing",
        "_opened_by",
        "_partial",
        "_receiver",
        "_rest",
        "_stopped",
        "_text_factory",
    )

    def __init__(
        self,
        receiver: Receiver,
        *,
        max_message_size: int | None,
        text_factory: Callable[[bytes], Any] = decode_utf8,
        inflater: Inflater | None = None,
    ) -> None:
        self._receiver = receiver
        self._max_size = max_message_size
        self._text_factory = text_factory
        # What came in pieces is a bytearray, which `bytes.decode` does not take.
        self._collected_text_factory: Callable[[bytes | bytearray], Any] = (
            _decode_collected if text_factory is decode_utf8 else text_factory  # type: ignore[assignment]
        )
        self._inflater = inflater
        self._stopped = False
        self._busy = False
        # Bytes of a header that has not come whole.
        self._rest = b""
        # A frame whose payload has not come whole: its first byte, what came, and what has not.
        self._first = 0
        self._partial = Pieces()
        self._missing = 0
        # A message whose fragments have not all come: the first byte of its first frame, or 0.
        self._opened_by = 0
        self._fragments = Pieces()

    def stop(self) -> None:
        """Ignore whatever else comes, the rest of the present read included."""
        self._stopped = True

    def feed(self, data: bytes) -> None:
        """
        Decode all of a read.

        Raises:
            ProtocolViolation: the peer broke a rule; what came before has been delivered, what
                comes after is ignored.
            RuntimeError: the receiver called it from one of its methods.
        """
        if self._stopped:
            return
        if self._busy:
            raise RuntimeError("a receiver fed the decoder that called it")
        self._busy = True
        try:
            self._feed(data)
        except BaseException:
            # Where in the stream we are is not known any more.
            self._stopped = True
            raise
        finally:
            self._busy = False

    def _feed(self, data: bytes) -> None:
        pos = 0
        if self._missing:
            if len(data) < self._missing:
                self._partial.add(data)
                self._missing -= len(data)
                return
            pos = self._complete(data)
        elif self._rest:
            data = self._rest + data
            self._rest = b""
        while True:
            pos = self._take_whole(data, pos)
            if self._stopped or pos == len(data):
                return
            pos = self._take_next(data, pos)
            if pos < 0:
                return

    def _complete(self, data: bytes) -> int:
        """Take the end of a frame that came in parts; return where the next one begins."""
        size, self._missing = self._missing, 0
        self._partial.add(data[:size])
        self._take(self._first, self._partial.take())
        return size

    def _take_whole(self, data: bytes, pos: int) -> int:
        """
        Take frames that are whole messages, up to the first of another kind; return where that
        begins.

        One loop without calls of our own: each would cost a tenth of the speed.
        """
        end = len(data)
        last = _NONE if self._opened_by else end - _LONG_ENOUGH
        limit = _LONGEST_16 if self._max_size is None else self._max_size
        on_text, on_binary = self._receiver.on_text, self._receiver.on_binary
        text_factory = self._text_factory
        while pos <= last and not self._stopped:
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
            if head <= _TEXT_16:
                try:
                    text = text_factory(data[start:after])
                except UnicodeDecodeError:
                    raise _not_utf8() from None
                on_text(text)
            else:
                on_binary(data[start:after])
        return pos

    def _take_next(self, data: bytes, pos: int) -> int:
        """
        Take one frame of any kind; return where the next begins, or a negative number when this
        one has not come whole: what there is of it is kept.
        """
        found = _read_header(data, pos)
        if found is None:
            self._rest = data[pos:]
            return _NONE
        start, size = found
        first, end = data[pos], start + size
        self._check(first, size)
        if end > len(data):
            self._first = first
            self._partial.add(data[start:])
            self._missing = end - len(data)
            return _NONE
        self._take(first, data[start:end])
        return end

    def _check(self, first: int, size: int) -> None:
        """Judge a frame by its header."""
        opcode = first & _OPCODE
        if opcode not in _KNOWN:
            raise _violation(f"reserved opcode {opcode}")
        if first & _RSV and not self._may_be_compressed(first, opcode):
            raise _violation("reserved bits set")
        if opcode >= _FIRST_CONTROL:
            if not first & _FIN:
                raise _violation("fragmented control frame")
            if size > _LONGEST_CONTROL:
                raise _violation("control frame too long")
            return
        if opcode == Opcode.CONT and not self._opened_by:
            raise _violation("continuation of nothing")
        if opcode != Opcode.CONT and self._opened_by:
            raise _violation("new message inside a fragmented one")
        if self._max_size is not None and self._fragments.size + size > self._room(first):
            raise _too_big(self._max_size)

    def _may_be_compressed(self, first: int, opcode: int) -> bool:
        if first & _RSV23 or self._inflater is None:
            return False
        return opcode in {Opcode.TEXT, Opcode.BINARY}

    def _room(self, first: int) -> int:
        """
        Return the bytes that a message may take on the wire: incompressible data grow when
        deflated, by an eighth with the fixed codes (RFC 1951 section 3.2.6).
        """
        assert self._max_size is not None
        compressed = (self._opened_by or first) & _RSV1
        return self._max_size + (self._max_size >> 3) + 64 if compressed else self._max_size

    def _take(self, first: int, payload: bytes | bytearray) -> None:
        """Take a frame that is whole, and was judged."""
        opcode = first & _OPCODE
        if opcode >= _FIRST_CONTROL:
            self._take_control(opcode, bytes(payload))
            return
        if opcode != Opcode.CONT:
            self._opened_by = first
        if first & _FIN:
            self._finish_message(payload)
        else:
            self._fragments.add(payload)

    def _take_control(self, opcode: int, payload: bytes) -> None:
        if opcode == Opcode.PING:
            self._receiver.on_ping(payload)
        elif opcode == Opcode.PONG:
            self._receiver.on_pong(payload)
        else:
            self._stopped = True
            self._receiver.on_close(*parse_close(payload))

    def _finish_message(self, payload: bytes | bytearray) -> None:
        first, self._opened_by = self._opened_by, 0
        if self._fragments.size:
            self._fragments.add(payload)
            payload = self._fragments.take()
        if first & _RSV1:
            assert self._inflater is not None
            payload = self._inflater.inflate(payload, self._max_size)
        if first & _OPCODE == Opcode.BINARY:
            self._receiver.on_binary(bytes(payload))
            return
        try:
            text = self._collected_text_factory(payload)
        except UnicodeDecodeError:
            raise _not_utf8() from None
        self._receiver.on_text(text)


def _decode_collected(payload: bytes | bytearray) -> str:
    return payload.decode()


def _read_header(data: bytes, pos: int) -> tuple[int, int] | None:
    """Return where a frame's payload begins and its size; None when its header is not whole."""
    if len(data) - pos < _SHORTEST_HEADER:
        return None
    size = data[pos + 1]
    if size <= _LONGEST_7:
        return pos + 2, size
    if size & _MASKED:
        raise _violation("masked frame from the server")
    start = pos + (4 if size == _LENGTH_16 else 10)
    if start > len(data):
        return None
    shorter = _LONGEST_7 if size == _LENGTH_16 else _LONGEST_16
    size = int.from_bytes(data[pos + 2 : start])
    if not shorter < size <= _LONGEST_64:
        raise _violation("length not minimal, or too large")
    return start, size


def _violation(reason: str) -> ProtocolViolation:
    return ProtocolViolation(CloseCode.PROTOCOL_ERROR, reason)


def _too_big(limit: int) -> ProtocolViolation:
    return ProtocolViolation(CloseCode.MESSAGE_TOO_BIG, f"message larger than {limit} bytes")


def _not_utf8() -> ProtocolViolation:
    return ProtocolViolation(CloseCode.INVALID_DATA, "text message is not UTF-8")
