"""What others make of the same bytes: `websockets`' sans-I/O protocol and wsproto."""

from __future__ import annotations

from typing import Any

import pytest
import wsproto
import wsproto.connection
import wsproto.events
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame
from websockets.frames import Opcode as PeerOpcode
from websockets.headers import build_extension, parse_extension
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from wsfleet._wire.deflate import Deflate, accept
from wsfleet._wire.frames import Opcode, close_payload
from wsfleet._wire.speedups import encode

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


GOODBYE_INSIDE = "a close frame between fragments"


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
    if str(client.parser_exc) == "incomplete fragmented message":
        return [*got, GOODBYE_INSIDE]
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
@example(frames=[frame(TEXT, fin=False), frame(CLOSE, b"\x0b\xb8")])
def test_we_and_websockets_see_the_same(frames: list[bytes]) -> None:
    """
    Frames right and wrong mean to us what they mean to `websockets`, close codes included.

    One thing it refuses: a goodbye between the fragments of a message. Control frames may stand
    there (RFC 6455, 5.4), so to wsproto and to us it is a goodbye.
    """
    data = b"".join(frames)
    theirs, ours = websockets_decodes(data), decode(data)

    if GOODBYE_INSIDE in theirs:
        assert ours[-1][0] == "close"
        assert theirs[:-1] == ours[:-1]
    else:
        assert theirs == ours


def wsproto_decodes(data: bytes) -> list[Any]:
    """Return what wsproto makes of the bytes, in the words of `decode`."""
    client = wsproto.connection.Connection(wsproto.connection.ConnectionType.CLIENT)
    client.receive_data(data)
    got: list[Any] = []
    parts: list[Any] = []
    for event in client.events():
        match event:
            case wsproto.events.Ping():
                got.append(("ping", bytes(event.payload)))
            case wsproto.events.Pong():
                got.append(("pong", bytes(event.payload)))
            case wsproto.events.CloseConnection():
                if client.state is not wsproto.connection.ConnectionState.REMOTE_CLOSING:
                    return [*got, int(event.code)]  # it failed the connection
                code = None if event.code == 1005 else int(event.code)
                return [*got, ("close", code, event.reason or "")]
            case wsproto.events.TextMessage() | wsproto.events.BytesMessage():
                text = isinstance(event, wsproto.events.TextMessage)
                parts.append(event.data)
                if event.message_finished:
                    whole = "".join(parts) if text else b"".join(parts)
                    got.append(("text" if text else "binary", whole))
                    parts = []
    return got


@given(frames=st.lists(WILD_FRAMES, max_size=6))
@example(frames=[frame(TEXT, b"\xff", fin=False), frame(PING), frame(CONT)])
def test_we_and_wsproto_see_the_same(frames: list[bytes]) -> None:
    """
    Frames right and wrong mean to us what they mean to wsproto, close codes included.

    One thing it knows sooner: text that is not UTF-8 fails at the fragment, with us at the end
    of its message. Until then control frames are still told, or another rule is broken.
    """
    data = b"".join(frames)
    theirs, ours = wsproto_decodes(data), decode(data)

    if 1007 in theirs and theirs != ours:
        assert ours[: len(theirs) - 1] == theirs[:-1]
        rest = ours[len(theirs) - 1 :]
        assert not any(isinstance(e, tuple) and e[0] in {"text", "binary"} for e in rest)
    else:
        assert theirs == ours


@pytest.mark.parametrize(
    "data", [b"\x81\x7e\x00\x05hello", b"\x81\x7f" + (5).to_bytes(8) + b"hello"]
)
def test_wsproto_is_as_strict_with_lengths(data: bytes) -> None:
    """A length not in its shortest form is refused by wsproto as by us."""
    assert wsproto_decodes(data) == decode(data) == [1002]


DEFLATED = st.lists(
    st.one_of(st.binary(max_size=300), st.text(max_size=100).map(lambda t: t.encode() * 9)),
    max_size=6,
)


@pytest.mark.parametrize(
    "settings",
    [
        Deflate(threshold=1),
        Deflate(threshold=1, client_no_context_takeover=True, server_no_context_takeover=True),
        Deflate(threshold=1, client_max_window_bits=9, server_max_window_bits=9),
    ],
)
@given(messages=DEFLATED)
def test_compression_is_agreed_and_used_with_websockets(
    settings: Deflate, messages: list[bytes]
) -> None:
    """
    A `websockets` server takes our offer, we take its answer, and messages survive both ways.
    """
    factory = ServerPerMessageDeflateFactory()
    offered = parse_extension(settings.offer())
    answer, theirs = factory.process_request_params(offered[0][1], [])
    agreed = accept(build_extension([(offered[0][0], answer)]), settings)
    assert agreed is not None

    for message in messages:
        sent = Frame(PeerOpcode.BINARY, agreed.deflater.deflate(message), rsv1=True)
        assert bytes(theirs.decode(sent).data) == message
        reply = theirs.encode(Frame(PeerOpcode.BINARY, message))
        assert agreed.inflater.inflate(bytes(reply.data), len(message)) == message


@pytest.mark.parametrize(
    "data", [b"\x81\x7e\x00\x05hello", b"\x81\x7f" + (5).to_bytes(8) + b"hello"]
)
def test_where_we_are_stricter(data: bytes) -> None:
    """
    A length not in its shortest form is refused (RFC 6455, 5.2); `websockets` lets it pass.
    """
    assert websockets_decodes(data) == [("text", "hello")]
    assert decode(data) == [1002]
