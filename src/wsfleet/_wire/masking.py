"""
Frames on their way out (RFC 6455 sections 5.2 and 5.3), in plain Python.

Rule 1: this module does no I/O and holds no clock.
Rule 2: `native/masking.c` has the twins of `encode` and `masked_piece`, which make the same
frames.
"""

from __future__ import annotations

import os
import struct
from io import BytesIO
from typing import Final


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


def mask(payload: bytes | memoryview, key: bytes) -> bytes:
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


def _after(head: bytes, payload: bytes | memoryview, key: bytes) -> bytes:
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


def masked_piece(head: bytes, payload: bytes | str, at: int, size: int, key: bytes) -> bytes:
    """
    Return a head and a piece of a payload, masked.

    Args:
        head: what comes before it, as it is.
        payload: bytes, or a text of ASCII characters.
        at: where the piece begins; a multiple of 4, as the key begins anew there.
        size: of the piece; the last may be smaller.
        key: 4 bytes.
    """
    if isinstance(payload, str):
        return head + mask(payload[at : at + size].encode("ascii"), key)
    return head + mask(memoryview(payload)[at : at + size], key)


_head_7: Final = struct.Struct("!BB4s").pack
_head_16: Final = struct.Struct("!BBH4s").pack
head_64: Final = struct.Struct("!BBQ4s").pack


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
    return _after(head_64(first, 0xFF, size, key), payload, key)
