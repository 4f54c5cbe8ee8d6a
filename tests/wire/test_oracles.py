"""What others make of the same bytes: `websockets`' sans-I/O protocol and wsproto."""

from __future__ import annotations

from typing import Any

import pytest
import wsproto
import wsproto.connection
import wsproto.events
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Opcode as PeerOpcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from wsfleet._wire.frames import Opcode, close_payload, encode

from .frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, decode, frame

PAYLOADS = st.one_of(
    st.binary(max_size=200), st.text(max_size=80).map(str.encode), st.just(b"x" * 70_000)
)
SENT = st.lists(
    st.one_of(
        st.tuples(st.just(Opcode.BINARY), PAYLOADS),
        st.tuples(st.just(Opcode.TEXT), st.text(max_size=200).map(str.encode)),
        st.tuples(st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125)),
    ),
    max_size=6,
)


@given(messages=SENT)
def test_a_websockets_server_reads_what_we_send(messages: list[tuple[int, bytes]]) -> None:
    """What we encode, the server side of `websockets` decodes to the same frames."""
    server = ServerProtocol(state=OPEN, max_size=None)
    server.receive_data(b"".join(encode(opcode, payload) for opcode, payload in messages))

    assert server.parser_exc is None
    got = [(int(event.opcode), bytes(event.data)) for event in server.events_received()]
    assert [(int(opcode), payload) for opcode, payload in messages] == got


@given(messages=SENT)
def test_a_wsproto_server_reads_what_we_send(messages: list[tuple[int, bytes]]) -> None:
    """What we encode, a wsproto server decodes to the same messages."""
    server = wsproto.connection.Connection(wsproto.connection.ConnectionType.SERVER)
    server.receive_data(b"".join(encode(opcode, payload) for opcode, payload in messages))

    got: list[bytes] = []
    partial = b""
    for event in server.events():
        if isinstance(event, wsproto.events.Ping | wsproto.events.Pong):
            got.append(bytes(event.payload))
            continue
        assert isinstance(event, wsproto.events.Message)
        data = event.data
        partial += data.encode() if isinstance(data, str) else bytes(data)
        if event.message_finished:
            got.append(partial)
            partial = b""
    assert sorted(payload for _, payload in messages) == sorted(got)


def test_a_websockets_server_reads_our_goodbye() -> None:
    """Our close frame is read with its code and reason."""
    server = ServerProtocol(state=OPEN)
    server.receive_data(encode(Opcode.CLOSE, close_payload(4001, "enough")))

    assert server.close_rcvd is not None
    assert (server.close_rcvd.code, server.close_rcvd.reason) == (4001, "enough")


def websockets_decodes(data: bytes) -> list[Any]:
    """Return what `websockets` makes of the bytes, in the words of `decode`."""
    client = ClientProtocol(parse_uri("ws://x/"), state=OPEN, max_size=None)
    client.receive_data(data)
    got: list[Any] = []
    parts: list[bytes] = []
    kind = ""
    for event in client.events_received():
        opcode, payload = event.opcode, bytes(event.data)
        if opcode in {PeerOpcode.PING, PeerOpcode.PONG}:
            got.append((opcode.name.lower(), payload))
        elif opcode is PeerOpcode.CLOSE:
            received = client.close_rcvd
            assert received is not None
            got.append(("close", received.code if payload else None, received.reason))
        else:
            kind = kind if opcode is PeerOpcode.CONT else opcode.name.lower()
            parts.append(payload)
            if event.fin:
                whole = b"".join(parts)
                parts = []
                try:
                    got.append((kind, whole.decode() if kind == "text" else whole))
                except UnicodeDecodeError:
                    # `websockets` leaves that to its layers above.
                    return [*got, 1007]
    if client.parser_exc is not None:
        sent = client.close_sent
        assert sent is not None
        got.append(sent.code)
    return got


CONTROL = st.sampled_from([PING, PONG, CLOSE])
WILD_FRAMES = st.one_of(
    st.builds(
        frame,
        st.sampled_from([TEXT, BINARY, CONT]),
        st.binary(max_size=140),
        fin=st.booleans(),
    ),
    st.builds(
        frame,
        st.sampled_from([TEXT, CONT]),
        st.text(max_size=60).map(str.encode),
        fin=st.booleans(),
    ),
    st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=125)),
    st.builds(
        frame,
        # Close frames are made below: which of two faults counts first is open.
        st.integers(0, 15).filter(lambda opcode: opcode != CLOSE),
        st.binary(max_size=130),
        fin=st.booleans(),
        rsv=st.sampled_from([0, 0, 0, 1, 4]),
        masked=st.sampled_from([False, False, False, True]),
    ),
    st.builds(
        lambda code, reason: frame(CLOSE, code.to_bytes(2) + reason.encode()),
        st.integers(990, 5010),
        st.text(max_size=20),
    ),
)


@given(frames=st.lists(WILD_FRAMES, max_size=6))
def test_we_and_websockets_see_the_same(frames: list[bytes]) -> None:
    """
    Frames right and wrong mean to us what they mean to `websockets`, close codes included.
    """
    data = b"".join(frames)

    assert websockets_decodes(data) == decode(data)


@pytest.mark.parametrize(
    "data", [b"\x81\x7e\x00\x05hello", b"\x81\x7f" + (5).to_bytes(8) + b"hello"]
)
def test_where_we_are_stricter(data: bytes) -> None:
    """
    A length not in its shortest form is refused (RFC 6455, 5.2); `websockets` lets it pass.
    """
    assert websockets_decodes(data) == [("text", "hello")]
    assert decode(data) == [1002]
