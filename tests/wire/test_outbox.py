"""Large messages go out piece by piece, and nothing gets inside of them."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Opcode as PeerOpcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from wsfleet._wire.connection import Connection
from wsfleet._wire.deflate import Deflate, accept
from wsfleet._wire.frames import Opcode, decode_utf8
from wsfleet._wire.handshake import Agreed
from wsfleet._wire.offering import PIECE

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsfleet._wire.link import Taker


HIGH_WATER = 64 * 1024


class Network:
    """A link that is full above its high-water mark, and takes bytes when a test says so."""

    pumped: ClassVar[bool] = False

    def __init__(self) -> None:
        self.full = False
        self.closing = False
        self.breaks_at = 10**9
        self.taken = bytearray()
        self.buffered = bytearray()
        self.writable: Callable[[], None] = lambda: None
        self.feed: Callable[[bytes], None] = lambda _: None
        self.ended: Callable[[Exception | None], None] = lambda _: None

    def start(self, taker: Taker) -> None:
        self.feed = taker.feed
        self.ended, self.writable = taker.on_link_ended, taker.on_writable

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        assert not self.closing
        self.buffered += data
        if len(self.buffered) > self.breaks_at:
            self.closing = True
        self.full = len(self.buffered) > HIGH_WATER

    def take(self, size: int) -> None:
        """Take bytes from the buffer, as a network does at its own pace."""
        self.taken += self.buffered[:size]
        del self.buffered[:size]
        if self.full and len(self.buffered) <= HIGH_WATER // 4:
            self.full = False
            self.writable()

    def pause_reading(self) -> None:
        """Read on."""

    def resume_reading(self) -> None:
        """Read on."""

    def abort(self) -> None:
        self.closing = True
        self.ended(None)

    async def pump(self) -> None:
        """Nothing to pump."""

    async def aclose(self) -> None:
        """Nothing to free."""


class Nobody:
    """Takes what arrives."""

    def on_text(self, data: Any) -> None: ...
    def on_binary(self, data: bytes) -> None: ...
    def on_pong(self, payload: bytes) -> None: ...
    def on_violation(self, reason: str) -> None: ...


def connected(**agreed: Any) -> tuple[Connection, Network]:
    """Return a connection, and its network."""
    network = Network()
    connection = Connection(
        network,
        Agreed(subprotocol=None, deflate=agreed.get("deflate")),
        Nobody(),
        max_message_size=None,
        text_factory=decode_utf8,
    )
    connection.start()
    return connection, network


def received(data: bytes) -> list[tuple[PeerOpcode, bytes]]:
    """Return what a `websockets` server reads."""
    server = ServerProtocol(state=OPEN, max_size=None)
    server.receive_data(data)
    assert server.parser_exc is None
    return [(event.opcode, bytes(event.data)) for event in server.events_received()]


SIZES = st.sampled_from([0, 10, 70_000, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 700_001])
SENT = st.lists(
    st.tuples(st.sampled_from(["text", "binary", "ping"]), SIZES, st.integers(0, 400_000)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40)
@given(sent=SENT)
def test_frames_keep_their_order_and_stay_whole(sent: list[tuple[str, int, int]]) -> None:
    """However the network takes them, messages and pings arrive whole and in their order."""
    connection, network = connected()
    expected = []
    for number, (kind, size, taken) in enumerate(sent):
        payload = bytes([97 + number]) * (min(size, 125) if kind == "ping" else size)
        given = payload.decode() if kind == "text" and size > PIECE else payload
        if kind == "ping":
            connection.ping(payload)
        else:
            connection.send(Opcode[kind.upper()], given)
        expected.append((PeerOpcode[kind.upper()], payload))
        network.take(taken)
    while network.buffered:
        network.take(100_000)

    assert not connection.full
    assert expected == received(bytes(network.taken))


def test_a_large_message_is_masked_as_the_network_takes_it() -> None:
    """A large message that waits for the network takes no memory beside itself."""
    connection, _ = connected()
    payload = b"x" * (32 * PIECE)
    tracemalloc.start()
    try:
        connection.send(Opcode.BINARY, payload)
        assert tracemalloc.get_traced_memory()[1] < 4 * PIECE
    finally:
        tracemalloc.stop()
    assert connection.full


def test_a_connection_is_full_until_the_last_piece_is_out() -> None:
    """Whoever minds the write buffer waits until a large message has left."""
    connection, network = connected()
    connection.send(Opcode.BINARY, b"x" * (3 * PIECE))
    seen = []
    while network.buffered:
        seen.append(connection.full)
        network.take(PIECE)

    assert all(seen[:-1])
    assert not connection.full


def test_pings_of_the_peer_are_answered_behind_a_large_message() -> None:
    """Of the pings that come meanwhile the last is answered, after the message."""
    connection, network = connected()
    connection.send(Opcode.BINARY, b"x" * (2 * PIECE))
    network.feed(b"\x89\x01a\x89\x01b")
    while network.buffered:
        network.take(PIECE)

    kinds = received(bytes(network.taken))
    assert [kind for kind, _ in kinds] == [PeerOpcode.BINARY, PeerOpcode.PONG]
    assert kinds[1][1] == b"b"


def test_a_goodbye_waits_behind_a_large_message() -> None:
    """Closing does not cut a message that was handed over."""
    connection, network = connected()
    connection.send(Opcode.BINARY, b"x" * (2 * PIECE))
    connection.close()
    while network.buffered:
        network.take(PIECE)

    assert [k for k, _ in received(bytes(network.taken))] == [
        PeerOpcode.BINARY,
        PeerOpcode.CLOSE,
    ]


def test_a_lost_connection_drops_what_waits() -> None:
    """When the network is gone, nothing more is masked or written."""
    connection, network = connected()
    connection.send(Opcode.BINARY, b"x" * (4 * PIECE))
    network.abort()
    before = bytes(network.buffered)
    network.full = False
    network.writable()

    assert before == network.buffered
    assert not connection.full


def test_nothing_is_written_to_a_network_that_broke() -> None:
    """When the network breaks while a large message goes out, the rest stays where it is."""
    connection, network = connected()
    network.breaks_at = PIECE
    connection.send(Opcode.BINARY, b"x" * (4 * PIECE))
    network.take(10**9)

    assert len(network.taken) < 2 * PIECE
    assert not connection.open


@pytest.mark.parametrize("size", [PIECE, 2 * PIECE + 3])
def test_a_large_message_may_be_compressed(size: int) -> None:
    """What is large after it was compressed is sent in pieces, too."""
    deflate = accept("permessage-deflate", Deflate(level=0))
    connection, network = connected(deflate=deflate)
    connection.send(Opcode.TEXT, "x" * size)
    while network.buffered:
        network.take(PIECE)

    assert network.taken[0] == 0xC1
    assert len(network.taken) > size
