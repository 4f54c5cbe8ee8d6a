"""Lets others listen to what passes over a client's connections."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from wsfleet._wire.tapped import TappedConnection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsfleet._wire.connection import Connection, Sink
    from wsfleet._wire.frames import Opcode
    from wsfleet._wire.opening import Endpoint
    from wsfleet._wire.tapped import Tap

    from .life import Opener


class Listening(Protocol):
    """Who listens."""

    @property
    def tap(self) -> Tap:
        """What the next connection tells; asked for anew at each."""


def tapping(opener: Opener, *listening: Listening | None) -> Opener:
    """
    Return an opener whose connections are listened to; where nobody listens it is the opener
    itself, and nothing is paid.
    """
    listeners = [each for each in listening if each is not None]
    if not listeners:
        return opener

    async def open_tapped(endpoint: Endpoint, sink: Sink) -> Connection:
        tap = _joined([each.tap for each in listeners])
        connection = partial(TappedConnection, tap=tap)
        return await opener(replace(endpoint, connection=connection), sink)

    return open_tapped


def _joined(taps: Sequence[Tap]) -> Tap:
    if len(taps) == 1:
        return taps[0]

    def tell(direction: str, opcode: Opcode, payload: bytes) -> None:
        for tap in taps:
            tap(direction, opcode, payload)

    return tell
