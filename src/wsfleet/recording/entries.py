"""What one line of a recording says, for its reader."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - part of a public type
from typing import Literal, TypeAlias

import msgspec

Direction: TypeAlias = Literal["in", "out"]
"""Whether the peer sent it, or we did."""

Kind: TypeAlias = Literal["text", "binary", "close"]
"""What it was on the wire (RFC 6455 sections 5.5.1 and 5.6)."""


class CloseFrame(msgspec.Struct, frozen=True):
    """
    A goodbye (RFC 6455 section 5.5.1).

    Attributes:
        code: why, or None where the frame said nothing.
        reason: in words.
    """

    code: int | None
    reason: str


class Entry(msgspec.Struct, frozen=True):
    """
    One message or goodbye that passed.

    Attributes:
        time: the wall clock's, in UTC, when it passed.
        direction: "in" or "out".
        kind: "text", "binary" or "close".
        data: text as str, binary as bytes, a goodbye as `CloseFrame`.
    """

    time: datetime
    direction: Direction
    kind: Kind
    data: str | bytes | CloseFrame
