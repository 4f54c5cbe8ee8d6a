from __future__ import annotations

import asyncio
from pickle import PickleBuffer
from typing import Any

import pytest

from wsfleet._wire.connection import Connection
from wsfleet._wire.frames import decode_utf8
from wsfleet._wire.handshake import Agreed
from wsfleet._wire.push import PushLink

from .frames import TEXT, frame


class Transport(asyncio.Transport):
    """Goes nowhere."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Buffer nothing."""

    def is_closing(self) -> bool:
        return False

    def write(self, data: Any) -> None:
        """Drop it."""


class Sink:
    """Writes texts down, and does something at each."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.violations: list[str] = []
        self.then: Any = lambda: None

    def on_text(self, data: Any) -> None:
        self.texts.append(data)
        self.then()

    def on_binary(self, data: bytes) -> None: ...
    def on_pong(self, payload: bytes) -> None: ...
    def on_violation(self, reason: str) -> None:
        self.violations.append(reason)


def connected() -> tuple[PushLink, Sink]:
    """Return a link, and who takes what arrives over it."""
    link, sink = PushLink(), Sink()
    link.connection_made(Transport())
    Connection(
        link,
        Agreed(subprotocol=None, deflate=None),
        sink,
        max_message_size=None,
        text_factory=decode_utf8,
    ).start()
    return link, sink


def arrive(link: PushLink, data: bytes) -> None:
    """Let the event loop read."""
    while data:
        view = link.get_buffer(-1)
        size = min(len(view), len(data))
        view[:size] = data[:size]
        link.buffer_updated(size)
        data = data[size:]


def test_connections_share_a_buffer_and_nothing_in_it() -> None:
    """What one connection reads is out of the buffer before another reads into it."""
    (one, first), (two, second) = connected(), connected()
    assert one.get_buffer(-1) is two.get_buffer(-1)
    arrive(one, frame(TEXT, b"to one")[:5])
    arrive(two, frame(TEXT, b"to two"))
    arrive(one, frame(TEXT, b"to one")[5:])

    assert (first.texts, second.texts) == (["to one"], ["to two"])


def test_a_loop_inside_of_a_handler_does_no_harm() -> None:
    """
    A handler that lets the event loop run, as some notebooks do, still gets all of its read.
    """
    (one, first), (two, second) = connected(), connected()
    first.then = lambda: arrive(two, frame(TEXT, b"x" * 1000))
    arrive(one, frame(TEXT, b"a") + frame(TEXT, b"b"))

    assert first.texts == ["a", "b"]
    assert second.texts == ["x" * 1000] * 2


@pytest.mark.parametrize("size", [100_000, 300_000, 3_000_000])
def test_large_messages_come_through(size: int) -> None:
    """A message that takes many reads, some of them in place, arrives, and so does the next."""
    link, sink = connected()
    arrive(link, frame(TEXT, b"x" * size) + frame(TEXT, b"next"))

    assert ["x" * size, "next"] == sink.texts


def test_a_large_text_that_is_not_utf8_fails_the_connection() -> None:
    """A violation is told however the bytes were read, and nothing comes after it."""
    link, sink = connected()
    arrive(link, frame(TEXT, b"x" * 600_000 + b"\xff"))
    arrive(link, frame(TEXT, b"next"))

    assert (sink.violations, sink.texts) == (["text message is not UTF-8"], [])


def test_a_network_that_holds_on_to_a_place_costs_no_copy() -> None:
    """A large message grows where it is, though the network still has the view it read to."""
    link, sink = connected()
    data = frame(TEXT, b"x" * 2_000_000)
    arrive(link, data[:1000])
    left = memoryview(data)[1000:]
    shared, held = PushLink().get_buffer(-1), []
    while left:
        view = link.get_buffer(-1)
        held.append(view)
        size = min(len(view), len(left))
        view[:size] = left[:size]
        link.buffer_updated(size)
        left = left[size:]

    assert all(view is shared or is_released(view) for view in held)
    assert sink.texts == ["x" * 2_000_000]


def test_a_network_that_is_at_a_place_may_finish() -> None:
    """A view that the network cannot let go of yet, as uvloop's, does no harm."""
    link, sink = connected()
    data = frame(TEXT, b"x" * 400_000)
    arrive(link, data[:1000])
    view = link.get_buffer(-1)
    size = len(view)
    view[:] = data[1000 : 1000 + size]
    at_work = PickleBuffer(view)
    link.buffer_updated(size)
    at_work.release()
    arrive(link, data[1000 + size :])

    assert sink.texts == ["x" * 400_000]


def is_released(view: memoryview) -> bool:
    """Whether nothing can be done with a view any more."""
    try:
        view.nbytes  # noqa: B018 - it is asked whether it can be asked
    except ValueError:
        return True
    return False
