"""
Frames of RFC 6455 section 5, on their way out; and what close codes mean.

Rule: this module does no I/O and holds no clock.
"""

from __future__ import annotations

import os
import struct
from enum import IntEnum
from io import BytesIO
from typing import Final


class Opcode(IntEnum):
    """What a frame is (RFC 6455 section 5.2)."""

    CONT = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """Why a connection was closed (RFC 6455 section 7.4.1 and the IANA registry)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


class ProtocolViolation(Exception):  # noqa: N818 - it says what happened; never leaves the package
    """
    The peer broke the protocol.

    Attributes:
        code: the close code to fail the connection with.
        reason: short, fit for a close frame.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


_NEVER_SENT: Final = frozenset({1004, 1005, 1006, 1015})
_FIRST_UNASSIGNED: Final = 1016


def is_valid_received_close_code(code: int) -> bool:
    """
    Whether a peer may send it: assigned, or of the ranges 3000-3999 (registered) and 4000-4999
    (private).
    """
    assigned = 1000 <= code < _FIRST_UNASSIGNED and code not in _NEVER_SENT  # noqa: PLR2004
    return assigned or 3000 <= code <= 4999  # noqa: PLR2004


decode_utf8: Final = bytes.decode
"""The text of bytes that are UTF-8, else `UnicodeDecodeError`; called once for each message."""


class _MaskKeys:
    """
    Unpredictable 4-byte keys (RFC 6455 section 5.3), fetched from the system by the thousand.

    A forked process fetches its own: no key is used twice.
    """

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left: list[bytes] = []
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._left.clear)

    def next(self) -> bytes:
        try:
            return self._left.pop()
        except IndexError:  # not a look before: another thread may take the last in between
            block = os.urandom(4096)
            self._left += [block[i : i + 4] for i in range(4, 4096, 4)]
            return block[:4]


_next_key: Final = _MaskKeys().next
_number_of: Final = int.from_bytes
_BLOCK: Final = 4096
_REPEAT: Final = tuple(
    int.from_bytes(b"\1\0\0\0" * (size // 4), "little") for size in range(0, _BLOCK + 1, 64)
)
"""Times a key these are the key over and over, for 0, 64, 128... bytes."""


def mask(payload: bytes, key: bytes) -> bytes:
    """
    Return the payload XORed with the repeated 4-byte key (RFC 6455 section 5.3).

    Python's only XOR of many bytes is that of its integers. A multiplication spreads the key, a
    fifth faster than repeating its bytes and converting them.
    """
    size = len(payload)
    if size > _BLOCK:
        return _after(b"", payload, key)
    steps = (size + 63) >> 6
    pad = _number_of(key, "little") * _REPEAT[steps]
    return (_number_of(payload, "little") ^ pad).to_bytes(steps << 6, "little")[:size]


def _after(head: bytes, payload: bytes, key: bytes) -> bytes:
    """
    Return a head and the payload masked, in blocks: they keep the time per byte the same for
    any size.

    A file in memory holds all of it once; every copy more of a large message would cost as much
    as the masking.
    """
    frame = BytesIO()
    frame.write(head)
    pad = _number_of(key, "little") * _REPEAT[-1]
    view = memoryview(payload)
    whole = len(payload) - len(payload) % _BLOCK
    for at in range(0, whole, _BLOCK):
        block = _number_of(view[at : at + _BLOCK], "little") ^ pad
        frame.write(block.to_bytes(_BLOCK, "little"))
    frame.write(mask(payload[whole:], key))
    return frame.getvalue()


_head_7: Final = struct.Struct("!BB4s").pack
_head_16: Final = struct.Struct("!BBH4s").pack
_head_64: Final = struct.Struct("!BBQ4s").pack


def encode(opcode: int, payload: bytes, *, compressed: bool = False) -> bytes:
    """Return one final, masked client frame (RFC 6455 section 5.2)."""
    first = 0xC0 | opcode if compressed else 0x80 | opcode
    size = len(payload)
    key = _next_key()
    if size < 126:  # noqa: PLR2004
        return _head_7(first, 0x80 | size, key) + mask(payload, key)
    if size <= _BLOCK:
        return _head_16(first, 0xFE, size, key) + mask(payload, key)
    if size < 65536:  # noqa: PLR2004
        return _after(_head_16(first, 0xFE, size, key), payload, key)
    return _after(_head_64(first, 0xFF, size, key), payload, key)


def close_payload(code: int | None, reason: str) -> bytes:
    """
    Return a close frame's payload; the reason is cut to the 123 bytes that fit, between
    characters.
    """
    if code is None:
        return b""
    text = reason.encode()[:123]
    return int(code).to_bytes(2) + text.decode(errors="ignore").encode()


def parse_close(payload: bytes) -> tuple[int | None, str]:
    """
    Return the code and reason of a close frame (RFC 6455 section 5.5.1).

    Raises:
        ProtocolViolation: it has one byte, an invalid code, or a reason that is not UTF-8.
    """
    if not payload:
        return None, ""
    if len(payload) == 1:
        raise ProtocolViolation(CloseCode.PROTOCOL_ERROR, "close frame with one byte")
    code = int.from_bytes(payload[:2])
    if not is_valid_received_close_code(code):
        raise ProtocolViolation(CloseCode.PROTOCOL_ERROR, f"invalid close code {code}")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise ProtocolViolation(CloseCode.INVALID_DATA, "close reason is not UTF-8") from None
