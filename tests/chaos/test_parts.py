from __future__ import annotations

import logging
import socket
import threading
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from wsfleet import Client, Message

from .accounting import Ending
from .callers import WAYS, call_of, judged
from .events import Sequences
from .faults import KINDS, faults
from .frames import CLOSE, PING, TEXT, Deflating, FrameError, FrameReader
from .leftovers import Held, watched
from .messages import answer_of, is_answer, params_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .accounting import Violation


def first(seed: int, endpoint: int) -> list[Any]:
    """Return the first faults of an endpoint."""
    coming = faults(seed, endpoint, 1.0)
    return [next(coming) for _ in range(3 * len(KINDS))]


def test_a_seed_repeats_the_faults_and_the_calls_of_a_run() -> None:
    """A seed repeats the faults of a run; another seed or endpoint has faults of its own."""
    assert first(7, 0) == first(7, 0)
    assert first(7, 0) != first(8, 0)
    assert first(7, 0) != first(7, 1)
    assert [call_of(7, n) for n in range(50)] == [call_of(7, n) for n in range(50)]


def test_every_kind_of_fault_and_of_call_has_its_turn() -> None:
    """Each kind of fault comes as often as any other, and each way to send is used."""
    assert Counter(fault.kind for fault in first(7, 0)) == Counter(KINDS * 3)
    assert {call_of(7, number).way for number in range(200)} == set(WAYS)


def test_an_answer_belongs_to_one_request_and_is_whole() -> None:
    """The answer to another request, or a part of one, is known as such."""
    for number in range(200):
        answer = {"id": 1, **answer_of(number)}
        assert is_answer(number, answer)
        assert not is_answer(number + 1, answer)
    assert judged(1, {"result": {"n": 1}}) is Ending.WRONG
    assert judged(1, None) is Ending.WRONG


def masked(opcode: int, payload: bytes, first: int = 0x80) -> bytes:
    """Return a client's short frame."""
    mask = b"\x01\x02\x03\x04"
    data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes((first | opcode, 0x80 | len(payload))) + mask + data


def test_the_server_reads_frames_in_pieces_of_any_size() -> None:
    """However the bytes are split, the same frames come out, and a part of one is noticed."""
    stream = masked(TEXT, b"hello") + masked(PING, b"") + masked(CLOSE, b"\x03\xe8")
    for size in range(1, len(stream) + 1):
        reader = FrameReader()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        frames = [frame for piece in pieces for frame in reader.feed(piece)]
        assert frames == [(TEXT, b"hello"), (PING, b""), (CLOSE, b"\x03\xe8")]
        assert not reader.inside_frame
    reader = FrameReader()
    assert list(reader.feed(stream[:3])) == []
    assert reader.inside_frame


def test_the_server_reads_what_the_client_compressed() -> None:
    """Compressed messages are read in their order; without an agreement they are a mistake."""
    client, reader = Deflating(), FrameReader()
    reader.deflating = Deflating()
    stream = b"".join(masked(TEXT, client.deflate(b"hello"), first=0xC0) for _ in range(3))

    assert list(reader.feed(stream)) == [(TEXT, b"hello")] * 3
    with pytest.raises(FrameError):
        list(reader.feed(masked(TEXT, b"\xff\xff", first=0xC0)))
    with pytest.raises(FrameError):
        list(FrameReader().feed(stream))


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\x05hello",
        masked(TEXT, b"x", first=0xC0),
        masked(TEXT, b"x", first=0x00),
        masked(3, b"x"),
    ],
    ids=["not masked", "reserved bit", "not the last frame", "unknown opcode"],
)
def test_the_server_notices_what_no_client_may_send(data: bytes) -> None:
    """A client that damages its frames is reported."""
    with pytest.raises(FrameError):
        list(FrameReader().feed(data))


def event(connection: int, sequence: int) -> Message:
    """Return an event as a server numbers it."""
    params = {"connection": connection, "sequence": sequence}
    return Message({"method": "subscription", "params": params})


def test_events_that_are_lost_doubled_or_swapped_are_found() -> None:
    """The events of one connection come in their order, each once."""
    for order in ([0, 2], [0, 0], [1, 0]):
        sequences = Sequences()
        for number in order:
            sequences.take(event(5, number))
        assert sequences.problems
    sequences = Sequences()
    for connection, number in [(5, 0), (6, 0), (5, 1), (6, 1)]:
        sequences.take(event(connection, number))
    assert not sequences.problems


def test_a_socket_a_thread_and_an_object_that_are_left_are_found() -> None:
    """What a run leaves behind has a name in its report."""
    before, done = Held.now(), threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    with socket.socket():
        client = Client("ws://127.0.0.1:1")
        rules = {violation.rule for violation in Held.now().left_since(before)}
    done.set()
    thread.join()

    assert client.name
    assert {"no_thread_left", "no_object_left"} <= rules
    if before.sockets or Held.now().sockets or "no_socket_left" in rules:
        assert "no_socket_left" in rules


class Unraisable:
    def __del__(self) -> None:
        raise RuntimeError


def log_an_error() -> None:
    """Report an error that no user code caused."""
    structlog.get_logger("wsfleet").error("client.crashed")


def drop_what_cannot_be_deleted() -> None:
    """Make an error that Python can only print."""
    Unraisable()


def warn() -> None:
    """Warn, as a socket does that was not closed."""
    warnings.warn("left open", ResourceWarning, stacklevel=1)


def warn_as_a_loop() -> None:
    """Warn, as asyncio does of writes to a lost connection."""
    logging.getLogger("asyncio").warning("socket.send() raised exception.")


@pytest.mark.parametrize(
    ("mistake", "rule"),
    [
        (log_an_error, "no_error_logged"),
        (drop_what_cannot_be_deleted, "nothing_unraisable"),
        (warn, "no_warning"),
        (warn_as_a_loop, "no_warning_of_the_loop"),
    ],
)
def test_errors_and_warnings_that_no_caller_gets_are_found(
    mistake: Callable[[], None], rule: str
) -> None:
    """Logged errors, warnings and errors that Python swallows are violations, too."""
    violations: list[Violation] = []
    logged: Counter[str] = Counter()

    with watched(violations, logged):
        mistake()

    assert [violation.rule for violation in violations] == [rule]


def test_params_are_as_long_as_frames_may_be() -> None:
    """Requests are written with each of the three ways to tell a frame's length."""
    sizes = [len(str(params_of(number))) for number in range(200)]

    assert min(sizes) < 126
    assert any(126 <= size < 2**16 for size in sizes)
    assert max(sizes) > 2**16
