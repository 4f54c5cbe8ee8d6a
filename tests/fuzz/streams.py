"""
What a server may send: valid frames of every kind, and what they decode to.

Rule: a stream uses all that the RFCs allow and servers seldom do: empty fragments, control
frames inside of messages, several final blocks, any window, messages that do not compress.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

from tests.wire.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame, pieces

if TYPE_CHECKING:
    from random import Random

SIZES: Final = (0, 1, 2, 30, 124, 125, 126, 127, 128, 700, 3000)
RARE_SIZES: Final = (65534, 65535, 65536, 70000)
BOMBS: Final = (1 << 17, 1 << 20, 1 << 22)
_SYNC_TAIL: Final = -4
_CHARACTERS: Final = "ab \u00e4\u20ac\U0001f600\x00"


class Server:
    """
    Makes one connection's stream.

    Args:
        rng: chooses everything.
        bits: of the window with which to compress; None compresses nothing.
        takeover: whether a compressed message refers to those before it.
        bombs: how many of the binary messages are to be huge, and deflated small.

    Attributes:
        data: the bytes so far.
        messages: what they decode to, as `tests.wire.frames.Recorder` writes it down.
    """

    def __init__(
        self, rng: Random, bits: int | None, *, takeover: bool, bombs: float = 0.0
    ) -> None:
        self.data = b""
        self.messages: list[tuple[Any, ...]] = []
        self._rng = rng
        self._bits = bits
        self._takeover = takeover
        self._bombs = bombs
        self._stream: Any = None

    def send_something(self) -> None:
        """Send a message, or a control frame."""
        if self._rng.random() < 0.2:
            self._send_control()
        elif self._rng.random() < 0.5:
            text = "".join(self._rng.choices(_CHARACTERS, k=self._size()))
            self._send_message(TEXT, text.encode(), ("text", text))
        else:
            data = self._payload()
            self._send_message(BINARY, data, ("binary", data))

    def send_goodbye(self) -> None:
        """Send a close frame."""
        code, reason = self._rng.choice((1000, 1001, 1011, 3000, 4999)), "bye"
        self.data += frame(CLOSE, code.to_bytes(2) + reason.encode())
        self.messages.append(("close", code, reason))

    def _send_control(self) -> None:
        payload = self._rng.randbytes(self._rng.choice((0, 1, 125)))
        kind, opcode = self._rng.choice((("ping", PING), ("pong", PONG)))
        self.data += frame(opcode, payload)
        self.messages.append((kind, payload))

    def _size(self) -> int:
        return self._rng.choice(RARE_SIZES if self._rng.random() < 0.02 else SIZES)

    def _payload(self) -> bytes:
        if self._bits is not None and self._rng.random() < self._bombs:
            return bytes(self._rng.choice(BOMBS))
        size = self._size()
        return self._rng.randbytes(size) if self._rng.random() < 0.5 else b"ab" * (size // 2)

    def _send_message(self, opcode: int, payload: bytes, message: tuple[Any, ...]) -> None:
        rsv = 0
        if self._bits is not None and self._rng.random() < 0.7:
            rsv, payload = 4, self._deflate(payload)
        parts = self._fragments(payload)
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            self.data += frame(
                CONT if number else opcode, part, fin=last, rsv=0 if number else rsv
            )
            if not last and self._rng.random() < 0.3:
                self._send_control()
        self.messages.append(message)

    def _fragments(self, payload: bytes) -> list[bytes]:
        if self._rng.random() < 0.5:
            return [payload]
        return pieces(payload, [self._rng.randrange(1 << 20) for _ in range(4)])

    def _deflate(self, payload: bytes) -> bytes:
        """Deflate as RFC 7692 section 7.2.1 says, at times with final blocks (7.2.3.5)."""
        if not self._takeover:
            self._stream = None
        if self._rng.random() < 0.2:
            cut = self._rng.randint(0, len(payload))
            first = self._final_block(payload[:cut])
            self._stream = self._compressor(payload[:cut])  # the window outlives a final block
            return first + self._blocks(payload[cut:])
        return self._blocks(payload)

    def _blocks(self, payload: bytes) -> bytes:
        if not payload:
            return b"\x00"
        flush = self._rng.choice((zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH))
        stream = self._compressor()
        return bytes((stream.compress(payload) + stream.flush(flush))[:_SYNC_TAIL])

    def _final_block(self, payload: bytes) -> bytes:
        stream, self._stream = self._compressor(), None
        return bytes(stream.compress(payload) + stream.flush(zlib.Z_FINISH))

    def _compressor(self, window: bytes = b"") -> Any:
        assert self._bits is not None
        if self._stream is None:
            level = self._rng.choice((0, 1, 6, 9))
            self._stream = zlib.compressobj(level, zlib.DEFLATED, -self._bits, zdict=window)
        return self._stream
