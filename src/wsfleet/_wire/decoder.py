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

from typing import TYPE_CHECKING, Any, Final, NoReturn

from .frames import CloseCode, Opcode, ProtocolViolation, decode_utf8, parse_close
from .speedups import StraightDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from .deflate import Inflater
    from .straight import Receiver
    from .straight import StraightDecoder as _Below
else:
    _Below = object

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


AS_ONE_FRAME: Final = 1024
"""
Inflated bytes that count as one frame more of those in one call: a read of 256 KiB may hold 256
MiB, which take half a second.
"""


class FrameByFrame(_Below):
    """
    Takes frames of any kind, one by one; stands above a `StraightDecoder` of either twin.

    Args:
        receiver: takes what was decoded; what it raises comes out of `feed` as it is.
        max_message_size: bytes of the largest message, inflated and over all its fragments, or
            None.
        text_factory: makes of a text message's bytes what the receiver gets; raises
            `UnicodeDecodeError` where they are not UTF-8.
        inflater: inflates compressed messages, where compression was negotiated.
    """

    # Two bases with slots are not allowed, so those of its fields are the subclass's.
    __slots__ = tuple[str, ...]()

    def __init__(
        self,
        receiver: Receiver,
        *,
        max_message_size: int | None,
        text_factory: Callable[[bytes], Any] = decode_utf8,
        inflater: Inflater | None = None,
    ) -> None:
        super().__init__(receiver, max_message_size, text_factory)
        self._is_plain = text_factory is decode_utf8
        self._inflater = inflater
        self._is_last = False  # whether the frame that has not come whole is its last

    def stop(self) -> None:
        """Ignore whatever else comes, the rest of the present read included."""
        self._stopped = True

    def _place(self) -> memoryview | None:
        return self._message.place(self._missing)

    def placed(self, size: int) -> None:
        """
        Take bytes that were put into `place`.

        Raises:
            ProtocolViolation: as `feed` does.
        """
        if self._stopped:
            return
        self._missing -= size
        self._message.placed(size)
        if not self._missing and self._is_last:
            try:
                self._finish_pieces()
            except BaseException:
                self._stopped = True
                raise

    def _continue(self, data: bytes, pos: int) -> int:
        end = pos + self._missing
        if end > len(data):
            self._missing = end - len(data)
            self._message.add(data[pos:], self._missing)
            return _NONE
        self._missing = 0
        self._message.add(data[pos:end])
        if self._is_last:
            self._finish_pieces()
        return end

    def _take_next(self, data: bytes, pos: int) -> int:
        found = _read_header(data, pos)
        if found is None:
            self._rest = bytes(data[pos:])
            return _NONE
        start, size = found
        first, end = data[pos], start + size
        self._check(first, size)
        if first & _OPCODE < _FIRST_CONTROL:
            return self._take_data(first, data, start, end)
        if end > len(data):
            self._rest = bytes(data[pos:])
            return _NONE
        self._take_control(first & _OPCODE, bytes(data[start:end]))
        return end

    def _take_data(self, first: int, data: bytes, start: int, end: int) -> int:
        """Take a frame of a message, or what has come of it."""
        if first & _OPCODE != Opcode.CONT:
            self._opened_by = first
        is_last = bool(first & _FIN)
        if end > len(data):
            self._is_last = is_last
            self._missing = end - len(data)
            self._message.add(data[start:], self._missing)
            return _NONE
        if is_last and not self._message.size:
            self._finish(data[start:end])
            return end
        self._message.add(data[start:end])
        if is_last:
            self._finish_pieces()
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
        if self._limit is not None and self._message.size + size > self._room(first):
            raise _too_big(self._limit)

    def _may_be_compressed(self, first: int, opcode: int) -> bool:
        if first & _RSV23 or self._inflater is None:
            return False
        return opcode in {Opcode.TEXT, Opcode.BINARY}

    def _room(self, first: int) -> int:
        """
        Return the bytes that a message may take on the wire: incompressible data grow when
        deflated, by an eighth with the fixed codes (RFC 1951 section 3.2.6).
        """
        assert self._limit is not None
        compressed = (self._opened_by or first) & _RSV1
        return self._limit + (self._limit >> 3) + 64 if compressed else self._limit

    def _take_control(self, opcode: int, payload: bytes) -> None:
        if opcode == Opcode.PING:
            self._receiver.on_ping(payload)
        elif opcode == Opcode.PONG:
            self._receiver.on_pong(payload)
        else:
            self._stopped = True
            self._receiver.on_close(*parse_close(payload))

    def _finish_pieces(self) -> None:
        if not self._is_plain or self._opened_by & ~_FIN != Opcode.TEXT:
            self._finish(self._message.take())
            return
        self._opened_by = 0
        self.size = self._message.size
        try:
            text = self._message.take_text()
        except UnicodeDecodeError:
            self._not_utf8()
        self._receiver.on_text(text)

    def _finish(self, payload: bytes | bytearray) -> None:
        first, self._opened_by = self._opened_by, 0
        if first & _RSV1:
            assert self._inflater is not None
            payload = self._inflater.inflate(payload, self._limit)
            self._left -= len(payload) // AS_ONE_FRAME
        self.size: int = len(payload)
        if first & _OPCODE == Opcode.BINARY:
            self._receiver.on_binary(bytes(payload))
            return
        try:
            text = self._text_factory(bytes(payload))
        except UnicodeDecodeError:
            self._not_utf8()
        self._receiver.on_text(text)

    def _not_utf8(self) -> NoReturn:
        raise ProtocolViolation(CloseCode.INVALID_DATA, "text message is not UTF-8") from None


class Decoder(FrameByFrame, StraightDecoder):
    """Decodes what one server sends over one connection; see `FrameByFrame`."""

    __slots__ = (
        "_inflater",
        "_is_last",
        "_is_plain",
    )


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
