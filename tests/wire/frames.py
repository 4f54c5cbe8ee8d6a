"""
Frames as a server makes them, right and wrong, and a receiver that writes down what it gets.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from wsfleet._wire.decoder import Decoder, FrameByFrame
from wsfleet._wire.frames import Opcode, ProtocolViolation

TEXT, BINARY, CONT = Opcode.TEXT, Opcode.BINARY, Opcode.CONT
CLOSE, PING, PONG = Opcode.CLOSE, Opcode.PING, Opcode.PONG


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = False
) -> bytes:
    """Return a frame as a server sends it, however wrong it was asked for."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload)
    mask_bit = 0x80 if masked else 0
    if size < 126:
        head = bytes((first, mask_bit | size))
    elif size < 65536:
        head = bytes((first, mask_bit | 126)) + size.to_bytes(2)
    else:
        head = bytes((first, mask_bit | 127)) + size.to_bytes(8)
    return head + (b"\0\0\0\0" if masked else b"") + payload


class Recorder:
    """Writes down what a decoder delivers."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def on_text(self, data: Any) -> None:
        self.got.append(("text", data))

    def on_binary(self, data: bytes) -> None:
        self.got.append(("binary", data))

    def on_ping(self, payload: bytes) -> None:
        self.got.append(("ping", payload))

    def on_pong(self, payload: bytes) -> None:
        self.got.append(("pong", payload))

    def on_close(self, code: int | None, reason: str) -> None:
        self.got.append(("close", code, reason))


def decode(
    *reads: bytes,
    limit: int | None = None,
    decoder: type[FrameByFrame] = Decoder,
    **options: Any,
) -> list[Any]:
    """Return what a decoder makes of the reads; a violation is the last entry, by its code."""
    recorder = Recorder()
    decoding = decoder(recorder, max_message_size=limit, **options)
    try:
        for read in reads:
            decoding.feed(read)
            while decoding.behind:
                decoding.feed(b"")
    except ProtocolViolation as violation:
        recorder.got.append(violation.code)
    return recorder.got


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut data at the given places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


FRAMES = st.one_of(
    st.binary(max_size=300).map(lambda data: frame(BINARY, data)),
    st.text(max_size=200).map(lambda text: frame(TEXT, text.encode())),
    st.binary(max_size=125).map(lambda data: frame(PING, data)),
    st.binary(max_size=125).map(lambda data: frame(PONG, data)),
    st.lists(st.binary(max_size=200), min_size=1, max_size=4).map(
        lambda parts: (
            frame(BINARY, parts[0], fin=False)
            + b"".join(frame(CONT, part, fin=False) for part in parts[1:])
            + frame(CONT)
        )
    ),
    st.integers(65530, 65540).map(lambda size: frame(BINARY, b"x" * size)),
)
STREAMS = st.lists(FRAMES, max_size=8).map(b"".join)
