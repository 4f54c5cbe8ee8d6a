"""
What frames are (RFC 6455 section 5), and what close codes mean.

Rule: this module does no I/O and holds no clock.
"""

from __future__ import annotations

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


decode_utf8: Final = bytes.decode
"""The text of bytes that are UTF-8, else `UnicodeDecodeError`; called once for each message."""


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
