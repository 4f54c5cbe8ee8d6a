"""Sizes and counters of one client."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class StateMetrics:
    """
    What a client holds, and has done since it was made.

    Attributes:
        generation: connections opened.
        pending_requests: requests that await a response.
        subscriptions: channels, whatever their state.
        inbox: events that wait to be taken.
        dropped: events that were not delivered.
        sent: messages handed to the network.
        received: messages that came in.
        errors: requests without an answer, and connections lost.
        reading_paused: whether nothing is read until events were taken from the full inbox.
        memory: bytes that the events in the inbox take, about.
    """

    generation: int
    pending_requests: int
    subscriptions: int
    inbox: int
    dropped: int
    sent: int
    received: int
    errors: int
    reading_paused: bool
    memory: int


def memory_of(values: Iterable[object]) -> int:
    """
    Return about how many bytes the values take: their own size and that of their parts, two
    levels deep.
    """
    return sum(_size(value, 2) for value in values)


def _size(value: object, depth: int) -> int:
    size = sys.getsizeof(value, 0)
    if depth:
        size += sum(_size(part, depth - 1) for part in _parts(value))
    return size


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        return value
    return [getattr(value, name) for name in getattr(value, "__struct_fields__", ())]
