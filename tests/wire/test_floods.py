"""What a peer sends in great number is taken in parts, and costs no more than it must."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from tests.unit.fakes import client_frames
from wsfleet._wire import straight
from wsfleet._wire.connection import MOST_PONGS, Connection
from wsfleet._wire.decoder import Decoder, FrameByFrame
from wsfleet._wire.frames import Opcode, ProtocolViolation, decode_utf8
from wsfleet._wire.handshake import Agreed
from wsfleet._wire.pull import PullLink
from wsfleet._wire.push import PushLink
from wsfleet._wire.straight import MOST_FRAMES

from .frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, Recorder, frame
from .test_outbox import connected as connected_to_network
from .test_push import Sink, Transport, arrive


class PlainDecoder(FrameByFrame, straight.StraightDecoder):
    """Decodes in plain Python, whatever was compiled."""


EITHER = pytest.mark.parametrize("kind", [Decoder, PlainDecoder])
FLOODS = {
    "pings": frame(PING),
    "pongs": frame(PONG, b"x"),
    "empty texts": frame(TEXT),
    "small binaries": frame(BINARY, b"x"),
    "fragments": frame(CONT, b"x", fin=False),
}


@EITHER
@pytest.mark.parametrize("flood", FLOODS)
def test_frames_are_taken_in_parts(kind: Any, flood: str) -> None:
    """However many frames a read has, so many are taken at once; none is lost or changed."""
    recorder = Recorder()
    decoder = kind(recorder, max_message_size=None)
    begin = frame(TEXT, fin=False) if flood == "fragments" else b""
    end = frame(CONT, b"y") if flood == "fragments" else frame(TEXT, b"the end")
    count = 3 * MOST_FRAMES
    decoder.feed(begin)
    decoder.feed(FLOODS[flood] * count + end)
    parts = 1
    while decoder.behind:
        assert len(recorder.got) <= parts * MOST_FRAMES
        decoder.feed(b"")
        parts += 1

    assert parts == 4
    assert recorder.got[-1][1].endswith("y" if begin else "the end")
    assert len(recorder.got) == (1 if begin else count + 1)


@EITHER
def test_bytes_that_come_meanwhile_are_taken_after_those_that_wait(kind: Any) -> None:
    """A network that delivers though it was asked not to changes nothing."""
    recorder = Recorder()
    decoder = kind(recorder, max_message_size=None)
    data = frame(PING, b"x") * (2 * MOST_FRAMES) + frame(TEXT, b"split")
    decoder.feed(data[:-3])
    decoder.feed(data[-3:] + frame(TEXT, b"last"))
    while decoder.behind:
        decoder.feed(b"")

    assert recorder.got[-2:] == [("text", "split"), ("text", "last")]
    assert len(recorder.got) == 2 * MOST_FRAMES + 2


@EITHER
def test_what_waits_is_judged_as_all_else(kind: Any) -> None:
    """A frame that breaks a rule is found in a later part, and a stop ends all parts."""
    decoder = kind(Recorder(), max_message_size=None)
    decoder.feed(frame(PING) * MOST_FRAMES + frame(3))
    with pytest.raises(ProtocolViolation):
        decoder.feed(b"")
    decoder.feed(b"")
    assert not decoder.behind

    decoder = kind(Recorder(), max_message_size=None)
    decoder.feed(frame(PING) * (2 * MOST_FRAMES))
    decoder.stop()
    decoder.feed(b"")
    assert not decoder.behind


def sent(network: Any) -> list[tuple[int, bytes]]:
    """Return the frames that a client wrote."""
    return client_frames(bytes(network.buffered))


def test_a_few_pings_are_all_answered_in_their_order() -> None:
    """Ten pings in one read get ten pongs, in one write, each with its payload."""
    connection, network = connected_to_network()
    counted = []
    connection.on_control = lambda: counted.append(1)
    network.feed(b"".join(frame(PING, bytes([number])) for number in range(10)))

    assert sent(network) == [(Opcode.PONG, bytes([number])) for number in range(10)]
    assert len(counted) == 10


def test_of_very_many_pings_the_latest_are_answered() -> None:
    """A flood of pings costs a bounded number of pongs; each that is sent is counted."""
    connection, network = connected_to_network()
    counted = []
    connection.on_control = lambda: counted.append(1)
    numbers = [number.to_bytes(2) for number in range(1000)]
    network.feed(b"".join(frame(PING, number) for number in numbers))

    assert [payload for _, payload in sent(network)] == numbers[-MOST_PONGS:]
    assert len(counted) == MOST_PONGS


def test_pings_before_a_close_frame_are_answered_before_the_echo() -> None:
    """Nothing follows the close frame, and no ping that came before it goes unanswered."""
    _, network = connected_to_network()
    network.feed(frame(PING, b"a") + frame(CLOSE, b"\x03\xe8") + frame(PING, b"late"))

    assert sent(network) == [(Opcode.PONG, b"a"), (Opcode.CLOSE, b"\x03\xe8")]


def connected(link: Any) -> Sink:
    """Connect over a link; return who takes what arrives."""
    sink = Sink()
    agreed = Agreed(subprotocol=None, deflate=None)
    Connection(link, agreed, sink, max_message_size=None, text_factory=decode_utf8).start()
    return sink


class PausedTransport(Transport):
    """Knows whether it reads, and writes down what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = True
        self.aborted = False

    def pause_reading(self) -> None:
        assert self.reads
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.reads
        self.reads = True

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


FLOOD = frame(TEXT) * (4 * MOST_FRAMES) + frame(TEXT, b"end")


async def turns(sink: Sink) -> list[int]:
    """Return how many messages had come after each turn of the event loop."""
    seen = [len(sink.texts)]
    while not sink.texts or sink.texts[-1] != "end":
        await asyncio.sleep(0)
        seen.append(len(sink.texts))
    return seen


def test_a_pushed_flood_lets_others_run() -> None:
    """
    Between the parts of a read the event loop turns, nothing more is read, and a pause that
    was asked for meanwhile holds up the parts that are left.
    """

    async def main() -> None:
        link, transport = PushLink(), PausedTransport()
        link.connection_made(transport)
        sink = connected(link)
        arrive(link, FLOOD)
        assert not transport.reads
        counts = await turns(sink)
        assert counts == [MOST_FRAMES * part for part in range(1, 5)] + [4 * MOST_FRAMES + 1]
        assert transport.reads
        arrive(link, FLOOD)
        link.pause_reading()
        sink.texts.clear()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not sink.texts
        link.resume_reading()
        assert not transport.reads
        await turns(sink)
        assert transport.reads

    asyncio.run(main())


@pytest.mark.parametrize("aborted", [False, True])
def test_the_end_of_a_connection_comes_after_what_was_read(aborted: bool) -> None:
    """What was read before the socket was lost is delivered; an abort drops it."""

    async def main() -> None:
        link = PushLink()
        link.connection_made(PausedTransport())
        sink, ended = Sink(), []
        connection = Connection(
            link,
            Agreed(subprotocol=None, deflate=None),
            sink,
            max_message_size=None,
            text_factory=decode_utf8,
        )
        connection.start()
        connection.on_ended = lambda: ended.append(len(sink.texts))
        arrive(link, FLOOD)
        if aborted:
            connection.abort("given up")
        link.connection_lost(None)
        for _ in range(6):
            await asyncio.sleep(0)
        assert connection.ending is not None
        assert ended == [len(sink.texts)] == [MOST_FRAMES if aborted else 4 * MOST_FRAMES + 1]
        await connection.finish(1.0)

    asyncio.run(main())


def test_what_came_with_the_upgrade_is_taken_in_parts_too() -> None:
    """A flood that begins before the connection does is no other."""

    async def main() -> None:
        link = PushLink()
        link.connection_made(PausedTransport())
        arrive(link, FLOOD)
        sink = connected(link)
        assert len(sink.texts) == MOST_FRAMES
        await turns(sink)

    asyncio.run(main())


class FloodStream:
    """A stream that has all of the flood at once."""

    def __init__(self) -> None:
        self._data = FLOOD

    async def read(self, max_bytes: int) -> bytes:
        data, self._data = self._data[:max_bytes], self._data[max_bytes:]
        return data

    async def write(self, data: bytes) -> None:
        """Drop it."""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_pulled_flood_lets_others_run(backend: str) -> None:
    """Where a task reads, it lets the others run between the parts of a read."""

    async def main() -> None:
        link = PullLink(FloodStream(), None)  # type: ignore[arg-type]
        sink = connected(link)
        most = 0

        async def watch() -> None:
            nonlocal most
            seen = 0
            while True:
                most, seen = max(most, len(sink.texts) - seen), len(sink.texts)
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await link.pump()
            tasks.cancel_scope.cancel()
        assert sink.texts[-1] == "end"
        assert most <= 2 * MOST_FRAMES

    anyio.run(main, backend=backend)


@pytest.mark.parametrize(
    "error", [MemoryError(), OverflowError(), RecursionError(), ValueError("s3cret")]
)
def test_what_nobody_foresaw_ends_the_connection(error: Exception) -> None:
    """
    An error while a message is decoded is told by its type, never raised into the event loop,
    and the connection ends with code 1011.
    """

    def raises(_: bytes) -> Any:
        raise error

    _, network = connected_to_network()
    connection = Connection(
        network,
        Agreed(subprotocol=None, deflate=None),
        Sink(),
        max_message_size=None,
        text_factory=raises,
    )
    connection.start()
    network.feed(frame(TEXT, b"a") + frame(TEXT, b"b"))
    network.feed(frame(TEXT, b"c"))

    ending = connection.ending
    assert ending is not None
    assert (ending.code, ending.clean, ending.error) == (None, False, error)
    assert type(error).__name__ in ending.reason
    assert "s3cret" not in ending.reason
    assert sent(network) == [(Opcode.CLOSE, (1011).to_bytes(2))]


def test_without_memory_for_a_place_reading_goes_on() -> None:
    """A network that cannot be given a place for a large message uses the common one."""
    link = PushLink()
    link.connection_made(Transport())
    sink = connected(link)

    def place() -> Any:
        raise MemoryError

    assert link._taker is not None
    link._taker.place = place
    arrive(link, frame(TEXT, b"x" * 600_000))

    assert sink.texts == ["x" * 600_000]
