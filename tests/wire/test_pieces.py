from __future__ import annotations

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


def test_empty_pieces_take_no_room() -> None:
    """A peer that sends nothing, for ever, fills nothing."""
    held = Pieces()
    for _ in range(5000):
        held.add(b"")

    assert held._pieces == held._blocks == []
