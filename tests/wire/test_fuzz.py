"""Bytes that no server should send: the outcome is messages or a failed connection."""

from __future__ import annotations

import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfleet._wire.decoder import Decoder
from wsfleet._wire.deflate import Deflate, ExtensionError, Inflater, accept
from wsfleet._wire.frames import ProtocolViolation, parse_close

from .frames import BINARY, CONT, STREAMS, Recorder, decode, frame, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Fail when more memory than that is taken at any moment."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


@given(data=st.binary(max_size=400), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_garbage_gives_messages_or_a_violation(data: bytes, cuts: list[int]) -> None:
    """Whatever bytes come, the outcome is messages or a failed connection, split or not."""
    assert decode(data, limit=1000) == decode(*pieces(data, cuts), limit=1000)


@given(
    stream=STREAMS.filter(bool),
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=5),
    limit=st.sampled_from([None, 10, 1000]),
)
def test_mutated_frames_give_messages_or_a_violation(
    stream: bytes, changes: list[tuple[int, int]], limit: int | None
) -> None:
    """Frames damaged on their way end in messages or a failed connection, nothing else."""
    damaged = bytearray(stream)
    for place, byte in changes:
        damaged[place % len(damaged)] = byte

    got = decode(bytes(damaged), limit=limit)

    violations = [entry for entry in got if isinstance(entry, int)]
    assert violations in ([], [1002], [1007], [1009])
    if limit is not None:
        assert all(len(e[1]) <= limit for e in got if e not in violations and e[0] == "binary")


@given(data=st.binary(max_size=200), rsv=st.sampled_from([0, 4]), limit=st.integers(0, 300))
def test_garbage_that_claims_to_be_compressed(data: bytes, rsv: int, limit: int) -> None:
    """Compressed garbage ends in messages within the limit or a failed connection."""
    stream = frame(BINARY, data[:20], rsv=rsv, fin=False) + frame(CONT, data[20:])

    got = decode(stream * 2, limit=limit, inflater=Inflater(15, takeover=True))

    for entry in got:
        assert entry in {1007, 1009} or len(entry[1]) <= limit


@given(payload=st.binary(max_size=125))
def test_any_goodbye_is_read_or_a_violation(payload: bytes) -> None:
    """Whatever a close frame holds, it is a code and a reason, or a failed connection."""
    try:
        code, reason = parse_close(payload)
    except ProtocolViolation as violation:
        assert violation.code in {1002, 1007}  # noqa: PT017 - both outcomes are right
    else:
        assert payload == (b"" if code is None else code.to_bytes(2)) + reason.encode()


WORDS = st.sampled_from(
    ["permessage-deflate", "server_max_window_bits", "client_no_context_takeover", "x", "15"]
)


@given(
    header=st.one_of(
        st.text(max_size=80),
        st.lists(st.one_of(WORDS, st.sampled_from(list(' ;,="8')))).map("".join),
    )
)
def test_any_extension_header_is_taken_or_refused(header: str) -> None:
    """Whatever a server answers to the offer, it is taken, declined or refused by name."""
    try:
        accept(header, Deflate())
    except ExtensionError as error:
        assert len(str(error)) < 200  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_drops_of_bytes_are_held_without_waste(chunk: int) -> None:
    """A peer that lets a message drip takes hardly more memory than the bytes it sent."""
    decoder = Decoder(Recorder(), max_message_size=None)
    decoder.feed(b"\x82\x7f" + (1 << 40).to_bytes(8))
    with at_most(500_000):
        for _ in range(200_000 // chunk):
            decoder.feed(bytes(range(chunk)))


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_tiny_fragments_are_held_without_waste(size: int) -> None:
    """A message of many tiny or empty fragments takes hardly more memory than its bytes."""
    decoder = Decoder(Recorder(), max_message_size=200_000)
    decoder.feed(frame(BINARY, fin=False))
    fragments = frame(CONT, bytes(range(size)), fin=False) * 100
    with at_most(600_000):
        for _ in range(600):
            decoder.feed(fragments)


def test_many_empty_compressed_blocks_are_refused() -> None:
    """A peer cannot make us set up zlib for every two bytes that it sends."""
    got = decode(
        frame(BINARY, b"\x03\x00" * 50_000, rsv=4), inflater=Inflater(15, takeover=True)
    )

    assert got == [1007]
