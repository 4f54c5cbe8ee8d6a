"""What is sent in one step in C is what is sent in plain Python."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfleet._wire import offering, speedups
from wsfleet._wire.frames import Opcode
from wsfleet._wire.masking import mask
from wsfleet._wire.offering import PIECE

EITHER = [
    pytest.param(offering.Offering, id="plain"),
    pytest.param(speedups.Offering, id="in use"),
]


class Link:
    """Writes down what goes out."""

    def __init__(self, *, full: bool = False, closing: bool = False) -> None:
        self.full = full
        self.closing = closing
        self.written: list[bytes] = []

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        self.written.append(data)


class Text(str):
    """A text of a type of its own."""

    __slots__ = ()


def unmasked(frame: bytes) -> tuple[bytes, bytes]:
    """Return a frame's head and its payload."""
    size = frame[1] & 0x7F
    key = {126: 4, 127: 10}.get(size, 2)
    return frame[:key], mask(frame[key + 4 :], frame[key : key + 4])


PAYLOADS = st.one_of(
    st.text(max_size=9),
    st.binary(max_size=9),
    st.sampled_from(
        ["x" * 126, "x" * 65_536, b"x" * PIECE, b"x" * (PIECE + 1), "x" * (PIECE + 1), "\ud800"]
    ),
    st.sampled_from([Text("x"), bytearray(b"x"), memoryview(b"x")]),
)


@given(
    payload=PAYLOADS,
    opcode=st.sampled_from([Opcode.TEXT, Opcode.BINARY]),
    full=st.booleans(),
    closing=st.booleans(),
    in_the_way=st.sampled_from([None, None, "ending", "_outbox", "_deflater"]),
)
def test_both_send_the_same(
    payload: Any, opcode: Opcode, in_the_way: str | None, *, full: bool, closing: bool
) -> None:
    """A message is sent by both, as the same frame, or by neither."""
    seen = []
    for kind in (offering.Offering, speedups.Offering):
        link = Link(full=full, closing=closing)
        offered = kind(link)  # type: ignore[arg-type]  # it does as much as is needed
        if in_the_way is not None:
            setattr(offered, in_the_way, object())
        seen.append((offered.offer(opcode, payload), [unmasked(f) for f in link.written]))

    assert seen[0] == seen[1]


@pytest.mark.parametrize("kind", EITHER)
def test_a_small_message_goes_out_at_once(kind: type[offering.Offering]) -> None:
    """A text or bytes are one frame that is written in the same step."""
    link = Link()
    offered = kind(link)  # type: ignore[arg-type]
    assert offered.offer(Opcode.TEXT, "hello")
    assert offered.offer(Opcode.BINARY, b"\0" * 200)

    assert [unmasked(frame) for frame in link.written] == [
        (b"\x81\x85", b"hello"),
        (b"\x82\xfe\x00\xc8", b"\0" * 200),
    ]


@pytest.mark.parametrize("kind", EITHER)
@pytest.mark.parametrize("in_the_way", ["ending", "_outbox", "_deflater", "full", "closing"])
def test_nothing_is_sent_past_what_is_in_the_way(
    kind: type[offering.Offering], in_the_way: str
) -> None:
    """On a link that is full or closing, or behind what waits, nothing goes out."""
    link = Link(full=in_the_way == "full", closing=in_the_way == "closing")
    offered = kind(link)  # type: ignore[arg-type]
    if hasattr(offered, in_the_way):
        setattr(offered, in_the_way, object())

    assert not offered.offer(Opcode.TEXT, "hello")
    assert not link.written


@pytest.mark.parametrize("kind", EITHER)
def test_an_error_of_the_network_comes_out(kind: type[offering.Offering]) -> None:
    """What the transport raises is not taken for having been sent."""
    link = Link()
    offered = kind(link)  # type: ignore[arg-type]

    def refuse(data: bytes) -> None:
        raise RuntimeError("unplugged")

    link.write = refuse  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="unplugged"):
        offered.offer(Opcode.TEXT, "hello")
