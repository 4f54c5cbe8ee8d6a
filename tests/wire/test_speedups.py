"""What runs in C gives what its twin in Python gives."""

from __future__ import annotations

import gc
import os
import shutil
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wsfleet
from wsfleet._client import speedups as client_speedups
from wsfleet._wire import masking, pieces, speedups, straight
from wsfleet._wire.decoder import Decoder, FrameByFrame
from wsfleet._wire.deflate import Inflater
from wsfleet._wire.frames import Opcode, ProtocolViolation

from .frames import BINARY, CONT, PING, STREAMS, TEXT, Recorder, decode, frame
from .frames import pieces as cut

if TYPE_CHECKING:
    from collections.abc import Callable

INSTALLED = Path(__file__).parents[2] / "src" not in Path(wsfleet.__file__).parents
Pieces = type(Decoder(Recorder(), max_message_size=None)._message)
compiled = pytest.mark.skipif(not speedups.COMPILED, reason="runs in plain Python here")


class PlainDecoder(FrameByFrame, straight.StraightDecoder):
    """Decodes in plain Python, whatever was compiled."""


@pytest.mark.skipif(not INSTALLED, reason="a checkout has what was compiled in it, or not")
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no compiler")
def test_where_there_is_a_compiler_the_codec_is_compiled() -> None:
    """Whoever installs from source with a compiler gets the fast codec, unless they say no."""
    wanted = not os.environ.get("WSFLEET_NO_EXTENSIONS")
    assert (wanted, wanted) == (speedups.COMPILED, client_speedups.COMPILED)


def upper(payload: bytes) -> str:
    """Decode in a way of a user's own."""
    assert type(payload) is bytes
    return payload.decode().upper()


@compiled
@given(
    stream=STREAMS.filter(bool),
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=3),
    cuts=st.lists(st.integers(0, 1 << 20), max_size=8),
    limit=st.sampled_from([None, 0, 10, 1000, 65_536]),
    text_factory=st.sampled_from([bytes.decode, upper]),
    as_view=st.booleans(),
)
def test_both_decode_the_same(  # noqa: PLR0917 - Hypothesis names them
    stream: bytes,
    changes: list[tuple[int, int]],
    cuts: list[int],
    limit: int | None,
    text_factory: Callable[[bytes], str],
    as_view: bool,
) -> None:
    """Frames right and damaged, in one read or in many, mean the same to both."""
    damaged = bytearray(stream)
    for place, byte in changes:
        damaged[place % len(damaged)] = byte
    reads: list[Any] = cut(bytes(damaged), cuts)
    options: dict[str, Any] = {"limit": limit, "text_factory": text_factory}

    plainly = decode(*reads, decoder=PlainDecoder, **options)

    if as_view:
        reads = [memoryview(read) for read in reads]
    assert plainly == decode(*reads, **options)


@compiled
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 300, 65_535, 65_536, 70_000])
@pytest.mark.parametrize("more", [0, 1, 5])
def test_both_read_lengths_of_any_form(size: int, more: int) -> None:
    """A message of any length is read alike, alone and among others."""
    reads = [
        frame(TEXT, b"a" * size) * 2 + frame(BINARY, b"b" * size)[:-1],
        b"b"[: size + more],
    ]

    assert decode(*reads, decoder=PlainDecoder) == decode(*reads)


@compiled
@pytest.mark.parametrize(
    "head",
    [b"\x81\x7e\x00\x7d", b"\x81\x7f" + b"\0" * 6 + b"\xff\xff", b"\x81\x7f" + b"\xff" * 8],
)
def test_both_refuse_lengths_in_a_longer_form(head: bytes) -> None:
    """A length that is not in its shortest form, or negative, fails the connection."""
    assert decode(head + b"x" * 70_000, decoder=PlainDecoder) == [1002]
    assert decode(head + b"x" * 70_000) == [1002]


@compiled
@given(
    opcode=st.sampled_from(list(Opcode)),
    payload=st.one_of(st.binary(max_size=300), st.integers(65_500, 65_600).map(bytes)),
    is_compressed=st.booleans(),
)
def test_both_encode_the_same(opcode: Opcode, payload: bytes, is_compressed: bool) -> None:
    """A frame is the same from both, but for its key."""
    ours = speedups.encode(opcode, payload, compressed=is_compressed)
    plain = masking.encode(opcode, payload, compressed=is_compressed)

    head = len(plain) - len(payload) - 4
    assert plain[:head] == ours[:head]
    assert len(plain) == len(ours)
    assert masking.mask(ours[head + 4 :], ours[head : head + 4]) == payload


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("at", range(20))
def test_no_byte_of_a_text_goes_unseen(at: int, *, fin: bool) -> None:
    """Wherever a single byte is no UTF-8, alone among ASCII, the text is refused."""
    wrong = b"x" * at + b"\xff" + b"x" * (19 - at)
    rest = b"" if fin else frame(CONT, b"")
    assert decode(frame(TEXT, wrong, fin=fin) + rest) == [1007]
    right = "x" * at + "é" + "x" * (19 - at)
    got = decode(frame(TEXT, right.encode(), fin=fin) + rest)
    assert got == [("text", right)]


@compiled
@given(
    head=st.binary(max_size=14),
    payload=st.one_of(st.binary(max_size=99), st.text(st.characters(max_codepoint=127))),
    at=st.integers(0, 20).map(lambda words: 4 * words),
    size=st.integers(0, 99),
    key=st.binary(min_size=4, max_size=4),
)
def test_both_mask_pieces_alike(
    head: bytes, payload: bytes | str, at: int, size: int, key: bytes
) -> None:
    """A piece of a large message is the same from both, bytes or text."""
    ours = speedups.masked_piece(head, payload, at, size, key)
    assert masking.masked_piece(head, payload, at, size, key) == ours


@compiled
@pytest.mark.parametrize(
    "given",
    [
        (b"", "ä", 0, 4, b"1234"),
        (b"", b"x", 0, 4, b"123"),
        (b"", b"x", -4, 4, b"1234"),
        (b"", b"x", 0, -1, b"1234"),
        (b"", 7, 0, 4, b"1234"),
    ],
)
def test_a_piece_that_makes_no_sense_is_refused(given: Any) -> None:
    """Nothing is read beyond a payload, and no text is sent in another encoding."""
    with pytest.raises((TypeError, ValueError)):
        speedups.masked_piece(*given)


@compiled
@given(
    added=st.lists(st.lists(st.one_of(st.binary(max_size=9), st.text(max_size=9))), max_size=4),
    announced=st.integers(0, 1 << 40),
)
def test_both_hold_pieces_alike(added: list[list[bytes | str]], announced: int) -> None:
    """What was added in pieces is taken whole, as bytes or as text, and only once."""
    ours, plain = Pieces(), pieces.Pieces()
    for each in added:
        for piece in each:
            data = piece.encode() if isinstance(piece, str) else piece
            ours.add(memoryview(data), announced)
            plain.add(data, announced)
            assert plain.size == ours.size
        assert text_or_error(plain) == text_or_error(ours)
        for piece in each:
            data = piece.encode() if isinstance(piece, str) else piece
            ours.add(data)
            plain.add(data)
        assert plain.take() == ours.take()
        assert ours.size == 0


def text_or_error(held: Any) -> str | None:
    """Take the text; None where it is none."""
    try:
        text: str = held.take_text()
    except UnicodeDecodeError:
        return None
    return text


@compiled
@pytest.mark.parametrize(
    "call",
    [
        lambda: speedups.encode(1),  # type: ignore[call-arg]
        lambda: speedups.encode("1", b""),  # type: ignore[arg-type]
        lambda: speedups.encode(1, b"", compress=True),  # type: ignore[call-arg]
        lambda: speedups.encode(1, b"", True),  # type: ignore[call-arg]
        lambda: speedups.encode(1, "text"),  # type: ignore[arg-type]
        lambda: Pieces().add(),  # type: ignore[call-arg]
        lambda: Pieces().add("text"),  # type: ignore[arg-type]
        lambda: Pieces().add(b"", b""),  # type: ignore[arg-type]
        speedups.StraightDecoder,
        lambda: speedups.StraightDecoder(Recorder(), "10", bytes.decode),  # type: ignore[arg-type]
        lambda: Decoder(Recorder(), max_message_size=None).feed("text"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_is_a_type_error(call: Callable[[], object]) -> None:
    """A mistake of ours in calling what is compiled is an error, not a crash."""
    with pytest.raises(TypeError):
        call()


@compiled
def test_a_decoder_that_was_not_set_up_says_so() -> None:
    """A subclass that forgets its base's set-up is an error, not a crash."""
    with pytest.raises(RuntimeError, match="not set up"):
        Decoder.__new__(Decoder).feed(b"\x81\x00")


@compiled
def test_less_than_nothing_cannot_be_announced() -> None:
    """A negative number of bytes to come is an error, not a crash."""
    with pytest.raises(ValueError, match="less than nothing"):
        Pieces().add(b"", -1)


def live_a_little() -> None:
    """Go every way that there is, the wrong ones included."""
    big = frame(TEXT, b"t" * 100_000)
    parts = frame(TEXT, "é".encode()[:1], fin=False) + frame(CONT, "é".encode()[1:])
    wrong = (b"\x81\xff", frame(TEXT, b"\xff"), frame(CONT), frame(BINARY, b"x" * 2000))
    for last in (b"", *wrong):
        decode(
            big[:50], big[50:] + parts + frame(PING) + frame(BINARY, b"b") + last, limit=150_000
        )
    decode(frame(BINARY, b"x" * 2000), limit=1000)
    decode(frame(TEXT, b"x", rsv=4), inflater=Inflater(15, takeover=True))
    with suppress(ValueError):
        decode(frame(TEXT, b"x"), text_factory=int)
    for payload in (b"", b"x" * 70_000):
        speedups.encode(TEXT, payload, compressed=True)
    held = Pieces()
    held.add(b"\xff", 1000)
    text_or_error(held)


@compiled
def test_nothing_is_left_behind() -> None:
    """A decoder that lived and died, well or badly, leaves no memory in use."""
    for _ in range(3):
        live_a_little()
    gc.collect()
    tracemalloc.start()
    try:
        live_a_little()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(50):
            live_a_little()
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert after - before < 5000


@compiled
def test_a_cycle_through_a_decoder_is_collected() -> None:
    """A receiver that holds its decoder does not keep both alive for ever."""

    class Holder(Recorder):
        decoder: Decoder

    gc.collect()
    holder = Holder()
    holder.decoder = Decoder(holder, max_message_size=None)
    del holder

    assert gc.collect() > 0
    assert not [each for each in gc.get_objects() if type(each) is Holder]


def decode_in_place(data: bytes, chunk: int, **options: Any) -> list[Any]:
    """Decode as a link does that reads to where the decoder says."""
    recorder = Recorder()
    decoder = Decoder(recorder, max_message_size=options.pop("limit", None), **options)
    at = 0
    try:
        while at < len(data):
            place = decoder.place()
            size = min(chunk, len(data) - at, len(place) if place else chunk)
            if place is None:
                decoder.feed(data[at : at + size])
            else:
                place[:size] = data[at : at + size]
                decoder.placed(size)
            at += size
    except ProtocolViolation as violation:
        recorder.got.append(violation.code)
    return recorder.got


PARTS = st.sampled_from(
    [b"", b"x", b"x" * 140_000, "é".encode() * 90_000, b"x" * 200_000 + b"\xff"]
)


@compiled
@settings(max_examples=40)
@given(
    messages=st.lists(
        st.tuples(st.sampled_from([TEXT, BINARY]), st.lists(PARTS, min_size=1, max_size=3)),
        max_size=3,
    ),
    chunk=st.sampled_from([50_000, 65_536, 131_072, 262_144, 10**9]),
    limit=st.sampled_from([None, 150_000, 300_000]),
    text_factory=st.sampled_from([bytes.decode, upper]),
)
def test_what_is_read_in_place_means_the_same(
    messages: list[tuple[Opcode, list[bytes]]],
    chunk: int,
    limit: int | None,
    text_factory: Callable[[bytes], str],
) -> None:
    """The rest of a large frame, read to where it stays, gives what it gives when it is fed."""
    data = b"".join(
        frame(CONT if number else opcode, part, fin=number == len(parts) - 1)
        for opcode, parts in messages
        for number, part in enumerate(parts)
    )
    options: dict[str, Any] = {"limit": limit, "text_factory": text_factory}

    plainly = decode(data, decoder=PlainDecoder, **options)

    assert plainly == decode_in_place(data, chunk, **options)


@compiled
def test_a_place_is_for_the_frame_that_comes_and_no_more() -> None:
    """What is read in place never reaches into the next frame, or beyond what is allowed."""
    decoder = Decoder(Recorder(), max_message_size=None)
    assert decoder.place() is None
    decoder.feed(frame(TEXT, b"x" * 200_000)[:1000])
    seen = 0
    while (place := decoder.place()) is not None:
        seen += len(place)
        place[:] = b"x" * len(place)
        decoder.placed(len(place))
    assert seen < 200_000
    decoder.stop()
    assert decoder.place() is None


@compiled
def test_a_peer_that_announces_much_gets_little_room() -> None:
    """A frame that is announced and does not come takes no memory in advance."""
    decoder = Decoder(Recorder(), max_message_size=None)
    decoder.feed(b"\x81\x7f" + (1 << 40).to_bytes(8))
    tracemalloc.start()
    try:
        assert decoder.place() is not None
        assert tracemalloc.get_traced_memory()[1] < 400_000
    finally:
        tracemalloc.stop()


@compiled
def test_a_large_message_makes_the_next_take_little() -> None:
    """However large a fragmented message was, the next one begins with a megabyte at most."""
    decoder = Decoder(Recorder(), max_message_size=None)
    for number in range(80):
        opcode = CONT if number else TEXT
        decoder.feed(frame(opcode, b"x" * 100_000, fin=number == 79))
    first = frame(TEXT, b"x", fin=False)
    tracemalloc.start()
    try:
        decoder.feed(first)
        assert tracemalloc.get_traced_memory()[1] < 1_200_000
    finally:
        tracemalloc.stop()


@compiled
def test_a_view_outlives_what_it_shows() -> None:
    """A network that still holds on to a place does no harm when the message has left."""
    held = Pieces()
    held.add(b"x" * 1000, 300_000)
    views = []
    while held.size < 301_000:
        view = held.place(301_000 - held.size)
        assert view is not None
        view[:] = b"y" * len(view)
        views.append(view)
        held.placed(len(view))
    text = held.take_text()
    held.add(b"z" * 10)

    assert text == "x" * 1000 + "y" * 300_000
    assert all(bytes(view) == b"y" * len(view) for view in views)
    assert held.take() == b"z" * 10


@compiled
@pytest.mark.parametrize("size", [-1, 11])
def test_more_than_there_is_room_for_cannot_be_placed(size: int) -> None:
    """A wrong count is an error, not a crash."""
    held = Pieces()
    held.place(10)
    with pytest.raises(ValueError, match="more was filled"):
        held.placed(size)
    with pytest.raises(ValueError, match="room for nothing"):
        held.place(0)
    with pytest.raises(BufferError, match="no room"):
        memoryview(Pieces())  # type: ignore[arg-type]


def test_plain_python_reads_nothing_in_place() -> None:
    """Where nothing was compiled, everything is fed."""
    decoder = PlainDecoder(Recorder(), max_message_size=None)
    decoder.feed(frame(TEXT, b"x" * 200_000)[:1000])

    assert decoder.place() is None
    assert pieces.Pieces().place(10) is None
