from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfleet._wire.pieces import Pieces


@given(first=st.lists(st.binary(max_size=5)), second=st.lists(st.binary(max_size=5)))
def test_what_was_added_is_taken_once(first: list[bytes], second: list[bytes]) -> None:
    """Pieces come out joined, in their order, and only once."""
    held = Pieces()
    for pieces in (first, second):
        for piece in pieces:
            held.add(piece)
        assert held.size == len(b"".join(pieces))
        assert held.take() == b"".join(pieces)
        assert held.size == 0


@pytest.mark.parametrize("count", [1023, 1024, 1025, 2048, 5000])
def test_many_pieces_stay_in_order(count: int) -> None:
    """Thousands of pieces come out in the order in which they were added."""
    held = Pieces()
    expected = [str(number).encode() for number in range(count)]
    for piece in expected:
        held.add(piece)

    assert held.take() == b"".join(expected)


@pytest.mark.parametrize("size", [0, 1, 7])
def test_tiny_pieces_take_hardly_more_room_than_their_bytes(size: int) -> None:
    """A peer that sends a million tiny pieces, or empty ones, fills no more than it sends."""
    tracemalloc.start()
    try:
        held = Pieces()
        for number in range(100_000):
            held.add(bytes([number % 256]) * size)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert taken < 1.2 * held.size + 2000
