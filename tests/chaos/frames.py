"""
WebSocket frames as the server of a run reads and writes them (RFC 6455 section 5).

Written apart from the codec of wsfleet, so that a mistake there is not repeated here.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT: Final = 1
CONTINUATION: Final = 0
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FIN: Final = 0x80
"""The highest bit: of the first byte, the last frame; of the second, a masked one."""
_DEFLATED: Final = 0x40
"""The bit of a compressed message, which RFC 7692 took from the reserved ones."""

_LONG: Final = 126
_LONGEST: Final = 127
_KNOWN: Final = frozenset({TEXT, TEXT | _DEFLATED, CLOSE, PING, PONG})


class FrameError(Exception):
    """A client sent what no client may send."""


def accept_key(key: str) -> str:
    """Return the `Sec-WebSocket-Accept` that belongs to a key."""
    digest = hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def frame(opcode: int, payload: bytes, *, last: bool = True) -> bytes:
    """Return a server's frame."""
    first = opcode | (_FIN if last else 0)
    size = len(payload)
    if size < _LONG:
        return bytes((first, size)) + payload
    if size < 2**16:
        return struct.pack("!BBH", first, _LONG, size) + payload
    return struct.pack("!BBQ", first, _LONGEST, size) + payload


class Deflating:
    """
    The compression of one connection, in both directions (RFC 7692, with context takeover).

    It is agreed on by a header without parameters.
    """

    HEADER: Final = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
    _TAIL: Final = b"\x00\x00\xff\xff"

    def __init__(self) -> None:
        self._deflater = zlib.compressobj(wbits=-15)
        self._inflater = zlib.decompressobj(wbits=-15)

    def deflate(self, payload: bytes) -> bytes:
        """Return what is sent for a message."""
        data = self._deflater.compress(payload) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        return data[: -len(self._TAIL)]

    def inflate(self, payload: bytes) -> bytes:
        """
        Return the message that was sent.

        Raises:
            FrameError: it is damaged.
        """
        try:
            return self._inflater.decompress(payload + self._TAIL)
        except zlib.error as error:
            raise FrameError(f"not compressed as agreed: {error}") from None


def text_message(payload: bytes, deflating: Deflating | None = None, pieces: int = 1) -> bytes:
    """Return a text message in so many frames, with a ping between them."""
    first = TEXT
    if deflating is not None:
        payload, first = deflating.deflate(payload), TEXT | _DEFLATED
    step = max(1, -(-len(payload) // pieces))
    parts = [payload[at : at + step] for at in range(0, len(payload), step)]
    frames = [
        frame(first if at == 0 else CONTINUATION, part, last=at == len(parts) - 1)
        for at, part in enumerate(parts)
    ]
    return frame(PING, b"between").join(frames)


class FrameReader:
    """
    Takes bytes of a client as they come, and returns whole frames.

    Attributes:
        deflating: what was agreed on, or None.
    """

    def __init__(self) -> None:
        self.deflating: Deflating | None = None
        self._buffer = bytearray()

    @property
    def inside_frame(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """
        Return opcode and payload of each frame that is whole now.

        Raises:
            FrameError: a frame is not masked, has a reserved bit, or is of a kind that a client
                without extensions never sends in one piece.
        """
        self._buffer += data
        while (header := self._header()) is not None:
            start, size, opcode = header
            if len(self._buffer) < start + size:
                return
            mask = bytes(self._buffer[start - 4 : start])
            payload = _unmasked(bytes(self._buffer[start : start + size]), mask)
            del self._buffer[: start + size]
            if opcode & _DEFLATED and self.deflating is not None:
                opcode, payload = opcode & 15, self.deflating.inflate(payload)
            yield opcode, payload

    def _header(self) -> tuple[int, int, int] | None:
        """Return where the payload begins, how long it is, and the opcode."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        deflated = buffer[0] & _DEFLATED if self.deflating is not None else 0
        if not buffer[1] & _FIN or buffer[0] & 0xF0 != _FIN | deflated:
            raise FrameError(
                f"not masked, not whole, or a reserved bit: {bytes(buffer[:2]).hex()}"
            )
        opcode, size, start = buffer[0] & 15 | deflated, buffer[1] & 127, 2
        if opcode not in _KNOWN:
            raise FrameError(f"unknown opcode {opcode}")
        if size >= _LONG:
            form, width = ("!H", 2) if size == _LONG else ("!Q", 8)
            if len(buffer) < 2 + width:
                return None
            (size,) = struct.unpack_from(form, buffer, 2)
            start += width
        return start + 4, size, opcode


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    keys = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(keys)).to_bytes(size)
