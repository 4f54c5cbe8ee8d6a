"""Faults in frames: what breaks RFC 6455, and what is too much or too slow."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any, Final

from wsfleet import Gap, PingPong, ProtocolError
from wsfleet.errors import RequestTimeoutError

from .acts import ask, fill_and_ask, fill_and_send
from .bounds import sum_of
from .fault import SAME, Life
from .life_ends import lost
from .peer import BINARY, CONTINUATION, PING, PONG, TEXT, Peer, frame, then, writes

if TYPE_CHECKING:
    from .peer import Script

SMALL: Final[dict[str, Any]] = {"max_message_size": 1000}
DEFLATE: Final = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
COMPRESSED: Final[dict[str, Any]] = {"compression": True}
NO_ROOM: Final[dict[str, Any]] = {
    "heartbeat": PingPong(interval=1.0, timeout=0.5),
    "request_timeout": 0.3,
}
BEAT_TIMES: Final = {"interval": 1.0, "heartbeat timeout": 0.5}
BEAT_MISSED_AND_RETRIED: Final = sum_of("interval", "heartbeat timeout", "retry_delay")


def breaks(name: str, words: str, data: bytes, tells: int = 1002, **more: Any) -> Life:
    """Return the fault that a server breaks RFC 6455 while a request is in flight."""
    given: dict[str, Any] = {"serve": writes(data), "events": (ProtocolError, Gap)}
    return lost(name, words, tells=tells, **(given | more))


def survives(name: str, words: str, harm: Any, **more: Any) -> Life:
    """Return the fault in spite of which the request is answered."""
    given: dict[str, Any] = {"serve": then(harm), "act": ask, "connection": SAME}
    return Life(name=name, words=words, **(given | more))


def deflated(data: bytes) -> Script:
    """Return a script that agrees on compression and sends these bytes as a frame's payload."""

    async def script(peer: Peer) -> None:
        await peer.accept(DEFLATE)
        await peer.converse("fault")
        await peer.write(frame(TEXT, data, reserved=4))
        await peer.converse()

    return script


def _bomb() -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(b" " * 50_000_000) + deflate.flush(zlib.Z_SYNC_FLUSH)


async def _pings(peer: Peer, request: dict[str, Any]) -> None:
    await peer.write(frame(PING) * 50_000)
    await peer.answer(request)


async def _pongs(peer: Peer, request: dict[str, Any]) -> None:
    await peer.write(frame(PONG, b"unasked") * 20_000)
    await peer.answer(request)


async def _empty_fragments(peer: Peer, request: dict[str, Any]) -> None:
    await peer.write(frame(BINARY, final=False))
    await peer.write(frame(CONTINUATION, final=False) * 50_000)
    await peer.write(frame(CONTINUATION))
    await peer.answer(request)


async def _pings_between_fragments(peer: Peer, request: dict[str, Any]) -> None:
    await peer.write(frame(TEXT, b'"one', final=False) + frame(PING, b"x"))
    await peer.write(frame(CONTINUATION, b' two"'))
    await peer.answer(request)


async def _drip(peer: Peer, request: dict[str, Any]) -> None:
    text = b'{"jsonrpc": "2.0", "id": %d, "result": "right"}' % request["id"]
    for byte in frame(TEXT, text):
        await peer.write(bytes([byte]))
        await asyncio.sleep(0.005)


async def _many_messages(peer: Peer, request: dict[str, Any]) -> None:
    await peer.write(frame(TEXT, b'{"price": 1}') * 20_000)
    await peer.answer(request)


async def _answer_and_hold(peer: Peer, request: dict[str, Any]) -> None:
    await peer.answer(request)
    await peer.hold()


FRAMES: Final = (
    breaks("reserved-bit", "a frame has a reserved bit", frame(TEXT, b"x", reserved=2)),
    breaks(
        "compressed-without-deflate",
        "a frame is compressed, and no compression was agreed on",
        frame(TEXT, b"x", reserved=4),
    ),
    breaks("unknown-opcode", "a frame has an unknown opcode", frame(3, b"x"), quick=True),
    breaks("unknown-control-opcode", "a frame has an unknown control opcode", frame(11)),
    breaks("masked", "a frame of the server is masked", b"\x81\x81abcdx", quick=True),
    breaks(
        "too-large",
        "a message is larger than `max_message_size`",
        frame(BINARY, b"x" * 1001),
        1009,
        options=SMALL,
        quick=True,
    ),
    breaks(
        "too-large-announced",
        "a frame announces more bytes than any memory has",
        b"\x82\x7f\x7f" + b"\xff" * 7,
        1009,
    ),
    breaks(
        "length-with-sign",
        "the length of a frame has its highest bit set",
        b"\x82\x7f\xff" + b"\xff" * 7,
        options={"max_message_size": None},
    ),
    breaks(
        "length-too-long",
        "the length of a frame takes more bytes than needed",
        b"\x82\x7e\0\1x",
    ),
    breaks("ping-in-fragments", "a ping comes in fragments", frame(PING, final=False)),
    breaks("ping-too-long", "a ping has more than 125 bytes", frame(PING, b"x" * 126)),
    breaks("nothing-to-continue", "a fragment continues nothing", frame(CONTINUATION, b"x")),
    breaks(
        "message-within-message",
        "a message begins before the one in fragments has ended",
        frame(TEXT, b"a", final=False) + frame(TEXT, b"b"),
    ),
    breaks("not-utf-8", "a text is not UTF-8", frame(TEXT, b"\xff"), 1007, quick=True),
    breaks(
        "not-utf-8-in-fragments",
        "a text in fragments is not UTF-8",
        frame(TEXT, b"\xc3", final=False) + frame(CONTINUATION, b"("),
        1007,
    ),
    breaks(
        "endless-fragments",
        "a message in fragments is larger than `max_message_size`",
        frame(BINARY, b"x" * 300, final=False)
        + frame(CONTINUATION, b"x" * 300, final=False) * 3,
        1009,
        options=SMALL,
    ),
    breaks(
        "deflate-broken",
        "a compressed message cannot be inflated",
        b"",
        1007,
        serve=deflated(b"\xff\xff\xff"),
        options=COMPRESSED,
        quick=True,
    ),
    breaks(
        "deflate-bomb",
        "a compressed message of some kilobytes inflates to 50 MB",
        b"",
        1009,
        serve=deflated(_bomb()),
        options=COMPRESSED,
    ),
    breaks(
        "http-instead-of-frames",
        "the server sends another HTTP answer instead of frames",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ),
)

FLOODS: Final = (
    survives("ping-flood", "50,000 pings come at once", _pings),
    survives("pong-flood", "20,000 pongs come that nobody asked for", _pongs),
    survives("empty-fragments", "50,000 empty fragments make one message", _empty_fragments),
    survives(
        "pings-between-fragments",
        "pings come between the fragments of a message",
        _pings_between_fragments,
        quick=True,
    ),
    survives(
        "answer-drips",
        "the answer comes byte by byte",
        _drip,
        detect=sum_of(seconds=1.0),
        quick=True,
    ),
    survives("many-messages", "20,000 messages come before the answer", _many_messages),
    Life(
        name="no-room-for-a-request",
        words="the peer reads nothing, and there is no room for a request",
        serve=then(_answer_and_hold),
        act=fill_and_ask,
        options=NO_ROOM,
        values=BEAT_TIMES,
        gets=RequestTimeoutError,
        sent=False,
        detect=sum_of("request_timeout"),
        recover=BEAT_MISSED_AND_RETRIED,
    ),
    Life(
        name="no-room-for-a-message",
        words="the peer reads nothing, and there is no room for a message without an id",
        serve=then(_answer_and_hold),
        act=fill_and_send,
        options=NO_ROOM,
        values=BEAT_TIMES,
        gets=RequestTimeoutError,
        sent=False,
        detect=sum_of("request_timeout"),
        recover=BEAT_MISSED_AND_RETRIED,
    ),
)
