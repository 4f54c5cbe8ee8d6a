"""
Frames of RFC 6455 section 5, on their way out; and what close codes mean.

Rule: this module does no I/O and holds no clock.
"""

from __future__ import annotations

import os
from enum import IntEnum
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


def decode_utf8(payload: bytes) -> str:
    """
    Return the text.

    Raises:
        UnicodeDecodeError: the bytes are not UTF-8.
    """
    return payload.decode()


class _MaskKeys:
    """
    Unpredictable 4-byte keys (RFC 6455 section 5.3), fetched from the system by the thousand.
    """

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left: list[bytes] = []

    def next(self) -> bytes:
        if not self._left:
            block = os.urandom(4096)
            self._left = [block[i : i + 4] for i in range(0, 4096, 4)]
        return self._left.pop()


_next_key: Final = _MaskKeys().next
_BLOCK: Final = 4096


def mask(payload: bytes, key: bytes) -> bytes:
    """Return the payload XORed with the repeated 4-byte key (RFC 6455 section 5.3)."""
    size = len(payload)
    if size <= _BLOCK:
        pad = int.from_bytes((key * (size // 4 + 1))[:size], "little")
        return (int.from_bytes(payload, "little") ^ pad).to_bytes(size, "little")
    pad = int.from_bytes(key * (_BLOCK // 4), "little")
    view = memoryview(payload)
    parts = [
        (int.from_bytes(view[at : at + _BLOCK], "little") ^ pad).to_bytes(_BLOCK, "little")
        for at in range(0, size - _BLOCK + 1, _BLOCK)
    ]
    parts.append(mask(bytes(view[len(parts) * _BLOCK :]), key))
    return b"".join(parts)


def encode(opcode: int, payload: bytes, *, compressed: bool = False) -> bytes:
    """Return one final, masked client frame (RFC 6455 section 5.2)."""
    first = 0x80 | opcode | (0x40 if compressed else 0)
    size = len(payload)
    key = _next_key()
    if size < 126:  # noqa: PLR2004
        return bytes((first, 0x80 | size)) + key + mask(payload, key)
    if size < 65536:  # noqa: PLR2004
        return bytes((first, 0xFE, size >> 8, size & 0xFF)) + key + mask(payload, key)
    return bytes((first, 0xFF)) + size.to_bytes(8) + key + mask(payload, key)


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
