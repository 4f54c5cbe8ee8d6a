from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfleet._wire.deflate import (
    Deflate,
    Deflater,
    ExtensionError,
    Inflater,
    accept,
)
from wsfleet._wire.frames import ProtocolViolation

from .frames import BINARY, CONT, PING, TEXT, decode, frame


def server_deflate(*messages: bytes, bits: int = 15, takeover: bool = True) -> list[bytes]:
    """Deflate as a server does."""
    stream = zlib.compressobj(6, zlib.DEFLATED, -bits)
    out = []
    for message in messages:
        out.append((stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4])
        if not takeover:
            stream = zlib.compressobj(6, zlib.DEFLATED, -bits)
    return out


def test_the_offer_names_what_was_asked_for() -> None:
    """The offer has one parameter for each thing that was asked for (RFC 7692, 7.1)."""
    assert Deflate().offer() == "permessage-deflate; client_max_window_bits"
    assert Deflate(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=10,
    ).offer() == (
        "permessage-deflate; client_max_window_bits; server_no_context_takeover; "
        "client_no_context_takeover; server_max_window_bits=10"
    )


@pytest.mark.parametrize(
    "options",
    [
        {"server_max_window_bits": 7},
        {"server_max_window_bits": 16},
        {"client_max_window_bits": 8},
        {"level": 10},
        {"mem_level": 0},
        {"threshold": 0},
        {"level": True},
        {"level": "6"},
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any]) -> None:
    """A setting that zlib cannot take is refused by its name."""
    with pytest.raises(ValueError, match=next(iter(options))):
        Deflate(**options)


@pytest.mark.parametrize(
    "answer",
    [
        "permessage-deflate",
        " permessage-deflate ; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=8",
        'permessage-deflate; server_max_window_bits="15"; client_max_window_bits = 9',
        "permessage-deflate; client_max_window_bits=8",
    ],
)
def test_a_proper_answer_is_taken(answer: str) -> None:
    """A server may agree with any of the four parameters."""
    assert accept(answer, Deflate()) is not None


@pytest.mark.parametrize("answer", [None, "", "  "])
def test_a_server_may_decline(answer: str | None) -> None:
    """A server that names no extension gets plain messages."""
    assert accept(answer, Deflate()) is None


@pytest.mark.parametrize(
    "answer",
    [
        "x-webkit-deflate-frame",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; unknown",
        "permessage-deflate; ;",
        "permessage-deflate; =",
    ],
)
def test_an_improper_answer_is_refused(answer: str) -> None:
    """A server that agrees to what was not offered, or makes no sense, is refused."""
    with pytest.raises(ExtensionError):
        accept(answer, Deflate())


@pytest.mark.parametrize(
    ("answer", "settings"),
    [
        ("permessage-deflate", None),
        ("permessage-deflate", Deflate(server_no_context_takeover=True)),
        ("permessage-deflate", Deflate(server_max_window_bits=10)),
        ("permessage-deflate; server_max_window_bits=11", Deflate(server_max_window_bits=10)),
    ],
)
def test_an_answer_that_goes_beyond_the_offer_is_refused(
    answer: str, settings: Deflate | None
) -> None:
    """
    What was asked of the server it must grant, and without an offer there is no extension.
    """
    with pytest.raises(ExtensionError):
        accept(answer, settings)


@pytest.mark.parametrize("bits", [9, 12, 15])
@pytest.mark.parametrize("takeover", [True, False])
@given(messages=st.lists(st.binary(max_size=3000), max_size=6))
def test_what_is_deflated_inflates_to_itself(
    bits: int, takeover: bool, messages: list[bytes]
) -> None:
    """Any sequence of messages survives, with and without context takeover, in any window."""
    deflater = Deflater(bits, takeover=takeover, settings=Deflate())
    inflater = Inflater(bits, takeover=takeover)

    assert messages == [inflater.inflate(deflater.deflate(m), None) for m in messages]


def test_no_takeover_makes_each_message_stand_alone() -> None:
    """Without context takeover a message is understood without those before it."""
    deflater = Deflater(15, takeover=False, settings=Deflate())
    deflater.deflate(b"the same words" * 10)

    second = deflater.deflate(b"the same words" * 10)

    assert Inflater(15, takeover=False).inflate(second, None) == b"the same words" * 10


def test_takeover_pays() -> None:
    """With context takeover the same message again is smaller."""
    deflater = Deflater(15, takeover=True, settings=Deflate())
    message = bytes(range(256))

    assert len(deflater.deflate(message)) > 3 * len(deflater.deflate(message))


def test_a_window_that_zlib_cannot_make_sends_plain() -> None:
    """A server that allows 256 bytes of window gets every message uncompressed."""
    agreed = accept("permessage-deflate; client_max_window_bits=8", Deflate())

    assert agreed is not None
    assert agreed.deflater.threshold == float("inf")


def test_a_stream_that_ends_goes_on() -> None:
    """
    A server may end its deflate stream with a message; the next one is understood (7.2.3.5).
    """
    stream = zlib.compressobj(6, zlib.DEFLATED, -15)
    ended = stream.compress(b"first") + stream.flush(zlib.Z_FINISH) + b"\x00"
    (following,) = server_deflate(b"second")
    inflater = Inflater(15, takeover=True)

    assert inflater.inflate(ended, None) == b"first"
    assert inflater.inflate(following, None) == b"second"


def test_a_message_may_have_many_final_blocks() -> None:
    """
    A server may end its stream in the midst of a message, and refer over the end (7.2.1).
    """
    message = b""
    data = b""
    for part in (b"one and ", b"two and ", b"one and two"):
        stream = zlib.compressobj(6, zlib.DEFLATED, -15, zdict=message)
        data += stream.compress(part) + stream.flush(zlib.Z_FINISH)
        message += part
    inflater = Inflater(15, takeover=True)

    assert inflater.inflate(data + b"\x00", None) == message
    assert inflater.inflate(data, len(message)) == message
    with pytest.raises(ProtocolViolation) as caught:
        inflater.inflate(data, len(message) - 1)
    assert caught.value.code == 1009


def test_an_empty_message_is_deflated() -> None:
    """An empty message survives, wherever among others it stands (7.2.3.6)."""
    deflater = Deflater(15, takeover=True, settings=Deflate())
    inflater = Inflater(15, takeover=True)
    messages = [b"", b"", b"words", b"", b"", b"words"]

    assert messages == [inflater.inflate(deflater.deflate(m), None) for m in messages]


def test_a_server_whose_window_is_a_bit_too_large_is_understood() -> None:
    """
    A server that agreed to 8 bits and uses 9, as old versions of zlib do, is understood.
    """
    far = bytes(range(256)) + bytes(150) + bytes(range(100))
    (data,) = server_deflate(far, bits=9)
    agreed = accept("permessage-deflate; server_max_window_bits=8", Deflate())

    assert agreed is not None
    assert agreed.inflater.inflate(data, None) == far


def test_a_message_that_grows_when_deflated_arrives() -> None:
    """A message within the limit arrives, even where deflating made it larger."""
    noise = bytes(144 + i * 7919 % 112 for i in range(4000))
    stream = zlib.compressobj(6, zlib.DEFLATED, -15, 8, zlib.Z_FIXED)
    data = (stream.compress(noise) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]
    literal = zlib.compressobj(1, zlib.DEFLATED, -9, 1, zlib.Z_HUFFMAN_ONLY)
    worse = (literal.compress(noise) + literal.flush(zlib.Z_SYNC_FLUSH))[:-4]

    for payload in (data, worse):
        got = decode(
            frame(BINARY, payload, rsv=4), limit=4000, inflater=Inflater(15, takeover=True)
        )
        assert got == [("binary", noise)]


def test_compressed_messages_arrive() -> None:
    """Compressed messages arrive in fragments, in between others, and beside plain ones."""
    one, two = server_deflate(b"hello" * 100, b"hello" * 200)
    got = decode(
        frame(TEXT, one, rsv=4)
        + frame(TEXT, b"plain")
        + frame(BINARY, two[:5], fin=False, rsv=4)
        + frame(PING, b"p")
        + frame(CONT, two[5:]),
        inflater=Inflater(15, takeover=True),
    )

    assert got == [
        ("text", "hello" * 100),
        ("text", "plain"),
        ("ping", b"p"),
        ("binary", b"hello" * 200),
    ]


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"a", fin=False) + frame(CONT, b"b", rsv=4),
        frame(PING, b"a", rsv=4),
        frame(TEXT, b"a", rsv=2),
        frame(TEXT, b"a", rsv=5),
    ],
)
def test_the_compressed_bit_has_its_place(data: bytes) -> None:
    """Only the first frame of a message may say that it is compressed (RFC 7692, 6.1)."""
    assert decode(data, inflater=Inflater(15, takeover=True)) == [1002]


def test_a_bomb_is_stopped_before_it_is_held() -> None:
    """A few kilobytes that inflate to a gigabyte cost no more than the limit."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(stream.compress(bytes(1 << 20)) for _ in range(200))
    bomb += stream.flush(zlib.Z_SYNC_FLUSH)[:-4]
    tracemalloc.start()
    try:
        got = decode(
            frame(TEXT, bomb, rsv=4), limit=1 << 19, inflater=Inflater(15, takeover=True)
        )
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert got == [1009]


def test_the_limit_counts_inflated_bytes() -> None:
    """A compressed message of exactly the limit arrives, compressible or not."""
    noise = bytes(i * 7919 % 251 for i in range(1000))
    flat, rough = server_deflate(bytes(1000), noise)
    data = frame(BINARY, flat, rsv=4) + frame(BINARY, rough, rsv=4)

    got = decode(data, limit=1000, inflater=Inflater(15, takeover=True))
    assert [("binary", bytes(1000)), ("binary", noise)] == got
    assert decode(data, limit=999, inflater=Inflater(15, takeover=True)) == [1009]


@given(data=st.binary(min_size=1, max_size=300))
def test_corrupt_data_fail_the_connection(data: bytes) -> None:
    """
    Whatever bytes claim to be compressed, the outcome is a message or a failed connection.
    """
    try:
        Inflater(15, takeover=True).inflate(data, 10_000)
    except ProtocolViolation as violation:
        assert violation.code in {1007, 1009}  # noqa: PT017 - both outcomes are right
