"""What a handler gets, and what iteration yields."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime  # noqa: TC003 - whoever reads the fields' types needs it
from typing import Any, TypeAlias

import msgspec


class Message(msgspec.Struct, frozen=True):
    """
    A text message.

    Attributes:
        data: what it decoded to; with `decode="json"`, the text itself where it is not JSON.
    """

    data: Any


class Binary(msgspec.Struct, frozen=True):
    """
    A binary message.

    Attributes:
        data: its bytes.
    """

    data: bytes


class UnmatchedResponse(msgspec.Struct, frozen=True):
    """
    A response whose request nobody awaits: its caller timed out, was cancelled, or never was.

    Attributes:
        response: the decoded JSON object.
    """

    response: dict[str, Any]


class ProtocolError(msgspec.Struct, frozen=True):
    """
    The peer broke RFC 6455; the last event before the connection is dropped.

    Attributes:
        reason: what it did, in words.
    """

    reason: str


class Gap(msgspec.Struct, frozen=True):
    """
    The connection was lost and there is a new one; comes before the first message of that.

    What happened in between was not delivered: fetch it if you need it.

    Attributes:
        channels: those that were subscribed when the connection was lost.
        since: when that was, in UTC.
        until: when this was told, in UTC: ahead of the first message of the new connection, or
            when that was ready, whichever came first. Channels are restored one after the
            other: what came over one before its own first message is missing, too.
        cause: why it was lost, in words.
    """

    channels: tuple[str, ...]
    since: datetime
    until: datetime
    cause: str


def join(earlier: Gap, later: Gap) -> Gap:
    """Return one gap for two between which no event was delivered."""
    channels = tuple(dict.fromkeys((*earlier.channels, *later.channels)))
    return Gap(channels, earlier.since, later.until, later.cause)


Event: TypeAlias = Message | Binary | UnmatchedResponse | ProtocolError | Gap
"""Everything that a client may deliver."""

Handler: TypeAlias = Callable[[Any], Any] | Callable[[Any], Awaitable[Any]]
"""
Called with each `Event`; what it returns is ignored, what an async one returns is awaited.
"""
