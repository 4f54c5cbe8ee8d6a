"""
permessage-deflate (RFC 7692): offered, agreed, and applied.

Rule 1: what comes in is inflated no further than its limit; a bomb is refused before it is
held.
Rule 2: what cannot be inflated fails the connection with 1007, data that are not of their type
(as wsproto does; `websockets` says 1002).
"""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass
from typing import Final

from .frames import CloseCode, ProtocolViolation

NAME: Final = "permessage-deflate"
_TAIL: Final = b"\x00\x00\xff\xff"
"""What a sync flush ends with; it is cut off on the wire (section 7.2.1)."""

_EMPTY: Final = b"\x00"
"""A deflated message of no bytes (section 7.2.3.6)."""

_NOTHING_MORE: Final = (_TAIL, _EMPTY + _TAIL)
"""What may follow a final block without being data."""

_MOST_STREAMS: Final = 64
"""Final blocks in one message: each costs us a new stream of zlib's, and a peer two bytes."""

_MOST_BITS: Final = 15
_LEAST_BITS: Final = 8
_LEAST_ZLIB_BITS: Final = 9
_WINDOW: Final = 1 << _MOST_BITS
_PARAMETER: Final = re.compile(r'\s*([a-z0-9_-]+)\s*(?:=\s*(?:"(\d+)"|(\d+))\s*)?', re.ASCII)
_BITS: Final = re.compile(r"[89]|1[0-5]")  # no leading zeros (section 7.1.2)
_FLAGS: Final = ("server_no_context_takeover", "client_no_context_takeover")


class ExtensionError(ValueError):
    """The server agreed to something that was not offered, or that makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deflate:
    """
    What compression to offer, and how to compress.

    Attributes:
        server_no_context_takeover: ask the server to compress each message by itself.
        client_no_context_takeover: compress each message by itself.
        server_max_window_bits: ask the server for a window of at most 2**bits bytes, 8-15; None
            asks for nothing.
        client_max_window_bits: compress with a window of at most 2**bits bytes, 9-15.
        level: zlib's compression level, 0-9.
        mem_level: zlib's memory level, 1-9.
        threshold: bytes below which a message goes out as it is.

    Raises:
        ValueError: a value is outside of its range.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int = 12
    level: int = 6
    mem_level: int = 5
    threshold: int = 512

    def __post_init__(self) -> None:
        bits = self.server_max_window_bits
        _check_range("server_max_window_bits", _MOST_BITS if bits is None else bits, 8, 15)
        _check_range("client_max_window_bits", self.client_max_window_bits, 9, 15)
        _check_range("level", self.level, 0, 9)
        _check_range("mem_level", self.mem_level, 1, 9)
        _check_range("threshold", self.threshold, 1, math.inf)

    def offer(self) -> str:
        """Return the value of `Sec-WebSocket-Extensions` that offers this (section 7.1)."""
        parts = [NAME, "client_max_window_bits"]
        parts += [flag for flag in _FLAGS if getattr(self, flag)]
        if self.server_max_window_bits is not None:
            parts.append(f"server_max_window_bits={self.server_max_window_bits}")
        return "; ".join(parts)


def _check_range(option: str, value: int, least: int, most: float) -> None:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{option} must be a whole number in {least}..{most}, not {value!r}")


class Inflater:
    """
    Inflates the messages of one connection, in order.

    Args:
        bits: the server's window is at most 2**bits bytes.
        takeover: whether a message may refer to those before it.
    """

    __slots__ = ("_bits", "_stream", "_takeover")

    def __init__(self, bits: int, *, takeover: bool) -> None:
        # Some servers agree to 256 bytes and use 512, the least that zlib can do.
        self._bits = max(bits, _LEAST_ZLIB_BITS)
        self._takeover = takeover
        self._stream: zlib._Decompress | None = None  # made when first needed: it takes memory

    def inflate(self, payload: bytes | bytearray, max_size: int | None) -> bytes:
        """
        Return a message.

        Raises:
            ProtocolViolation: it is larger than `max_size` (1009), or not deflated data (1007).
        """
        stream = self._stream or zlib.decompressobj(-self._bits)
        try:
            message = self._inflate(stream, b"".join((payload, _TAIL)), max_size)
        except zlib.error:
            raise _not_deflated() from None
        if not self._takeover:
            self._stream = None
        return message

    def _inflate(self, stream: zlib._Decompress, data: bytes, max_size: int | None) -> bytes:
        """
        Inflate to the end of a message; the stream for the next one is kept.

        A final block ends zlib's stream, but not the message, nor the window within it
        (sections 7.2.1 and 7.2.3.5). What came in earlier messages is forgotten with that
        stream: keeping it for what no known server sends takes 32 KiB for each connection.
        """
        message = _inflate_up_to(stream, data, max_size)
        for _ in range(_MOST_STREAMS):
            if not stream.eof:
                self._stream = stream
                return message
            data = stream.unused_data
            stream = zlib.decompressobj(-self._bits, zdict=message[-_WINDOW:])
            if data not in _NOTHING_MORE:
                message += _inflate_up_to(
                    stream, data, None if max_size is None else max_size - len(message)
                )
        raise _not_deflated()


def _inflate_up_to(stream: zlib._Decompress, data: bytes, room: int | None) -> bytes:
    inflated = stream.decompress(data, 0 if room is None else room + 1)
    if room is not None and len(inflated) > room:
        raise ProtocolViolation(
            CloseCode.MESSAGE_TOO_BIG, "message larger than allowed when inflated"
        )
    return inflated


def _not_deflated() -> ProtocolViolation:
    return ProtocolViolation(CloseCode.INVALID_DATA, "message cannot be inflated")


class Deflater:
    """
    Deflates the messages of one connection, in order.

    Args:
        bits: the window is at most 2**bits bytes.
        takeover: whether a message may refer to those before it.
        settings: level, memory and threshold.
    """

    __slots__ = ("_bits", "_settings", "_stream", "_takeover", "threshold")

    def __init__(self, bits: int, *, takeover: bool, settings: Deflate) -> None:
        # zlib cannot deflate into a window of 256 bytes: then all goes out as it is.
        self.threshold: float = math.inf if bits == _LEAST_BITS else settings.threshold
        self._bits = bits
        self._takeover = takeover
        self._settings = settings
        self._stream: zlib._Compress | None = None

    def deflate(self, payload: bytes) -> bytes:
        """Return a message's payload, compressed (section 7.2.1)."""
        if not payload:
            return _EMPTY  # a second flush in a row would give nothing at all
        stream = self._stream
        if stream is None:
            settings = self._settings
            stream = zlib.compressobj(
                settings.level, zlib.DEFLATED, -self._bits, settings.mem_level
            )
            if self._takeover:
                self._stream = stream
        deflated = stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH)
        return deflated[: -len(_TAIL)]


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on, ready for one connection."""

    inflater: Inflater
    deflater: Deflater


def accept(header: str | None, settings: Deflate | None) -> Negotiated | None:
    """
    Take the server's `Sec-WebSocket-Extensions` (section 7.1); None when it wants no
    compression.

    Raises:
        ExtensionError: it names what was not offered, or names it wrongly.
    """
    if header is None or not header.strip():
        return None
    if settings is None:
        raise ExtensionError("the server chose an extension, and none was offered")
    parameters = _parse(header)
    server_bits = _window_bits(parameters, "server_max_window_bits")
    client_bits = _window_bits(parameters, "client_max_window_bits")
    if server_bits > (settings.server_max_window_bits or _MOST_BITS):
        raise ExtensionError("the server chose a larger window than was offered")
    if settings.server_no_context_takeover and _FLAGS[0] not in parameters:
        raise ExtensionError("the server did not agree to server_no_context_takeover")
    client_takeover = not (settings.client_no_context_takeover or _FLAGS[1] in parameters)
    return Negotiated(
        Inflater(server_bits, takeover=_FLAGS[0] not in parameters),
        Deflater(
            min(client_bits, settings.client_max_window_bits),
            takeover=client_takeover,
            settings=settings,
        ),
    )


def _parse(header: str) -> dict[str, str | None]:
    name, *rest = header.split(";")
    if name.strip() != NAME:
        raise ExtensionError(
            f"the server chose an extension that was not offered: {name.strip()[:60]}"
        )
    parameters: dict[str, str | None] = {}
    for piece in rest:
        match = _PARAMETER.fullmatch(piece)
        if match is None:
            raise ExtensionError(f"the server's answer for {NAME} cannot be read")
        parameter, value = match[1], match[2] or match[3]
        if parameter in parameters:
            raise ExtensionError(f"the server named {parameter} twice")
        parameters[parameter] = value
    _check_parameters(parameters)
    return parameters


def _check_parameters(parameters: dict[str, str | None]) -> None:
    for parameter, value in parameters.items():
        if parameter in _FLAGS:
            valid = value is None
        elif parameter in {"server_max_window_bits", "client_max_window_bits"}:
            valid = value is not None and _BITS.fullmatch(value) is not None
        else:
            valid = False
        if not valid:
            raise ExtensionError(
                f"the server's parameter {parameter} is unknown, or has an invalid value"
            )


def _window_bits(parameters: dict[str, str | None], name: str) -> int:
    return int(parameters.get(name) or _MOST_BITS)
