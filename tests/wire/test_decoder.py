from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfleet._wire import straight
from wsfleet._wire.decoder import Decoder, FrameByFrame
from wsfleet._wire.deflate import Inflater
from wsfleet._wire.frames import ProtocolViolation

from .frames import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    STREAMS,
    TEXT,
    Recorder,
    decode,
    frame,
    pieces,
)

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 70000]


@pytest.mark.parametrize("size", SIZES)
def test_messages_of_every_length_arrive(size: int) -> None:
    """Whatever its length, a text and a binary message arrive as they were sent."""
    got = decode(frame(TEXT, b"x" * size) + frame(BINARY, b"\xff" * size))

    assert [("text", "x" * size), ("binary", b"\xff" * size)] == got


def test_fragments_are_one_message() -> None:
    """
    A message in fragments arrives whole, once, with control frames in between told at once.
    """
    got = decode(
        frame(TEXT, "hä".encode()[:2], fin=False)
        + frame(PING, b"p")
        + frame(CONT, "hä".encode()[2:], fin=False)
        + frame(PONG, b"q")
        + frame(CONT, b"!")
        + frame(BINARY, b"next")
    )

    assert got == [
        ("ping", b"p"),
        ("pong", b"q"),
        ("text", "hä!"),
        ("binary", b"next"),
    ]


def test_empty_fragments_are_allowed() -> None:
    """Fragments may be empty, the first and the last as well."""
    assert decode(frame(TEXT, fin=False) + frame(CONT, b"a", fin=False) + frame(CONT)) == [
        ("text", "a")
    ]


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [
        (b"", None, ""),
        (b"\x03\xe8", 1000, ""),
        (b"\x03\xe9bye", 1001, "bye"),
        (b"\x0b\xb8", 3000, ""),
        (b"\x13\x87", 4999, ""),
    ],
)
def test_a_goodbye_has_code_and_reason(payload: bytes, code: int | None, reason: str) -> None:
    """A close frame is told with its code and reason; nothing after it is looked at."""
    got = decode(frame(CLOSE, payload) + frame(TEXT, b"late"), frame(TEXT, b"later"))

    assert [("close", code, reason)] == got


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"a", masked=True),
        frame(TEXT, b"a", rsv=1),
        frame(TEXT, b"a", rsv=2),
        frame(TEXT, b"a", rsv=4),
        frame(PING, b"a", rsv=4),
        frame(3),
        frame(7),
        frame(11),
        frame(15),
        frame(PING, fin=False),
        frame(CLOSE, fin=False),
        frame(PONG, b"x" * 126),
        frame(CONT, b"of nothing"),
        frame(CONT, fin=False),
        frame(TEXT, fin=False) + frame(TEXT),
        frame(TEXT, fin=False) + frame(BINARY, fin=False),
        frame(CLOSE, b"\x03"),
        frame(CLOSE, (999).to_bytes(2)),
        frame(CLOSE, (1004).to_bytes(2)),
        frame(CLOSE, (1005).to_bytes(2)),
        frame(CLOSE, (1006).to_bytes(2)),
        frame(CLOSE, (1015).to_bytes(2)),
        frame(CLOSE, (1016).to_bytes(2)),
        frame(CLOSE, (2999).to_bytes(2)),
        frame(CLOSE, (5000).to_bytes(2)),
        b"\x81\x7e\x00\x7d" + b"x" * 125,
        b"\x81\x7f" + (65535).to_bytes(8),
        b"\x81\x7f" + (1 << 63).to_bytes(8),
    ],
)
def test_a_broken_rule_fails_with_1002(data: bytes) -> None:
    """
    What the protocol forbids fails the connection with 1002, after all that came before it.
    """
    assert decode(frame(TEXT, b"ok") + data) == [("text", "ok"), 1002]


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"\xff"),
        frame(TEXT, b"\xed\xa0\x80"),
        frame(TEXT, b"\xc3", fin=False) + frame(CONT, b"a"),
        frame(CLOSE, b"\x03\xe8\xff"),
    ],
)
def test_text_that_is_not_utf8_fails_with_1007(data: bytes) -> None:
    """Text, and the reason of a goodbye, must be UTF-8."""
    assert decode(data) == [1007]


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"x" * 101),
        frame(BINARY, b"x" * 101),
        frame(TEXT, b"x" * 60, fin=False) + frame(CONT, b"x" * 41),
        frame(TEXT, b"x" * 101)[:2],
        b"\x82\x7f" + (1 << 62).to_bytes(8),
    ],
)
def test_a_message_over_the_limit_fails_with_1009(data: bytes) -> None:
    """A message larger than the limit is refused by its header, over its fragments as well."""
    assert decode(data, limit=100) == [1009]


def test_the_limit_itself_is_allowed_and_counts_for_each_message() -> None:
    """
    Messages of exactly the limit arrive, one after the other; control frames do not count.
    """
    whole = frame(TEXT, b"x" * 100)
    parts = frame(TEXT, b"x" * 60, fin=False) + frame(PING, b"p" * 60) + frame(CONT, b"x" * 40)

    got = decode(whole + parts + whole + parts, limit=100)

    assert got.count(("text", "x" * 100)) == 4


def test_a_huge_announced_message_is_never_held() -> None:
    """A server that announces petabytes costs no memory."""
    tracemalloc.start()
    try:
        decode(b"\x82\x7f" + (1 << 50).to_bytes(8) + b"x" * 1000, limit=1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_after_a_violation_nothing_is_decoded() -> None:
    """Once the connection failed, what still comes is ignored."""
    recorder = Recorder()
    decoder = Decoder(recorder, max_message_size=None)
    with pytest.raises(ProtocolViolation):
        decoder.feed(frame(3))

    decoder.feed(frame(TEXT, b"late"))

    assert recorder.got == []


def test_stop_ignores_the_rest_of_the_read() -> None:
    """A client that fails on a message sees none of those behind it."""

    class Stopper(Recorder):
        def on_text(self, data: Any) -> None:
            super().on_text(data)
            decoder.stop()

    stopper = Stopper()
    decoder = Decoder(stopper, max_message_size=None)
    decoder.feed(frame(TEXT, b"1") + frame(TEXT, b"2"))
    decoder.feed(frame(TEXT, b"3"))

    assert stopper.got == [("text", "1")]


def test_a_receivers_error_is_not_a_violation() -> None:
    """An error of a user's own code comes out as it is, a UnicodeDecodeError as well."""

    class Broken(Recorder):
        def on_text(self, data: Any) -> None:
            b"\xff".decode()

    decoder = Decoder(Broken(), max_message_size=None)
    with pytest.raises(UnicodeDecodeError):
        decoder.feed(frame(TEXT, b"fine"))

    decoder.feed(frame(TEXT, b"the decoder is dead"))


def test_a_receiver_that_feeds_its_decoder_is_told() -> None:
    """Bytes fed from within a delivery would come in the wrong place, so it is an error."""

    class Feeder(Recorder):
        def on_text(self, data: Any) -> None:
            decoder.feed(frame(TEXT, b"out of turn"))

    decoder = Decoder(Feeder(), max_message_size=None)
    with pytest.raises(RuntimeError, match="fed the decoder"):
        decoder.feed(frame(TEXT, b"1"))


@pytest.mark.parametrize("stop_at", ["ping", "pong", "binary", "fragments", "across reads"])
def test_stop_holds_wherever_it_is_called(stop_at: str) -> None:
    """Whatever a client was told when it stopped, nothing is told after it."""
    reads = {
        "ping": [frame(PING, b"x")],
        "pong": [frame(PONG, b"x")],
        "binary": [frame(BINARY, b"x")],
        "fragments": [frame(BINARY, fin=False) + frame(CONT, b"x")],
        "across reads": [frame(BINARY, b"x")[:2], frame(BINARY, b"x")[2:]],
    }[stop_at]

    class Stopper(Recorder):
        def on_ping(self, payload: bytes) -> None:
            super().on_ping(payload)
            decoder.stop()

        def on_pong(self, payload: bytes) -> None:
            super().on_pong(payload)
            decoder.stop()

        def on_binary(self, data: bytes) -> None:
            super().on_binary(data)
            decoder.stop()

    stopper = Stopper()
    decoder = Decoder(stopper, max_message_size=None)
    for read in reads[:-1]:
        decoder.feed(read)
    decoder.feed(reads[-1] + frame(TEXT, b"late") + frame(3))
    decoder.feed(frame(TEXT, b"later"))

    assert [payload for _, payload in stopper.got] == [b"x"]


def test_the_text_factory_makes_what_is_delivered() -> None:
    """Text becomes what the factory makes of its bytes, in fragments and whole."""
    got = decode(
        frame(TEXT, b"12") + frame(TEXT, b"3", fin=False) + frame(CONT, b"4"), text_factory=int
    )

    assert got == [("text", 12), ("text", 34)]


@given(stream=STREAMS, cuts=st.lists(st.integers(0, 1 << 20), max_size=12))
def test_every_split_of_the_bytes_gives_the_same_messages(
    stream: bytes, cuts: list[int]
) -> None:
    """However the network cuts the bytes, the same messages arrive."""
    assert decode(stream) == decode(*pieces(stream, cuts))


@given(stream=STREAMS.filter(lambda stream: len(stream) < 2000))
def test_bytes_one_at_a_time_give_the_same_messages(stream: bytes) -> None:
    """A peer whose bytes come one by one is understood."""
    assert decode(stream) == decode(*(bytes((byte,)) for byte in stream))


class Sizes(Recorder):
    """Writes down the size that the decoder tells of each message."""

    decoder: FrameByFrame

    def on_text(self, data: Any) -> None:
        self.got.append((self.decoder.size, len(data)))

    def on_binary(self, data: bytes) -> None:
        self.got.append((self.decoder.size, len(data)))


class InPython(FrameByFrame, straight.StraightDecoder):
    """The decoder where nothing was compiled."""

    __slots__ = ("_inflater", "_is_last", "_is_plain")


@pytest.mark.parametrize("kind", [Decoder, InPython])
@pytest.mark.parametrize("cut", [1, 100, 1_000_000])
def test_the_size_of_a_message_is_told_while_it_is_delivered(
    kind: type[FrameByFrame], cut: int
) -> None:
    """Whole, in fragments, in many reads or compressed: it is that of what is delivered."""
    receiver = Sizes()
    inflater = Inflater(15, takeover=True)
    receiver.decoder = kind(receiver, max_message_size=None, inflater=inflater)
    deflating = zlib.compressobj(wbits=-15)
    packed = deflating.compress(b"x" * 5000) + deflating.flush(zlib.Z_SYNC_FLUSH)
    data = (
        frame(TEXT, b"x" * 7)
        + frame(BINARY, b"x" * 300)
        + frame(TEXT, b"x" * 10, fin=False)
        + frame(PING, b"x" * 3)
        + frame(CONT, b"x" * 11)
        + frame(TEXT, packed[:-4], rsv=4)
        + frame(BINARY, b"x" * 70_000)
        + frame(BINARY, b"x", fin=False)
        + frame(CONT, b"x")
        + frame(TEXT, b"")
    )
    for at in range(0, len(data), cut):
        receiver.decoder.feed(data[at : at + cut])

    got = [entry for entry in receiver.got if entry[0] != "ping"]
    assert got == [(n, n) for n in (7, 300, 21, 5000, 70_000, 2, 0)]
