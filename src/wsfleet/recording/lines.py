"""
The lines of a recording: JSON, one object a line, told apart by `kind`.

Rule 1: each life of a client begins with a header, which has no secrets.
Rule 2: text stands as it passed; binary is base64, and `encoding` says so.
Rule 3: a line is written whole; one that is cut short is never a line of another meaning.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from .entries import CloseFrame, Direction, Entry

VERSION: Final = 1
"""Of the format; raised when an older reader could not make sense of a line."""

OPENING: Final = b'{"kind":"recording",'
"""How each header begins."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Time: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


class Header(msgspec.Struct, tag_field="kind", tag="recording", frozen=True):
    """The first line of a client's life."""

    version: int
    time: _Time
    client: str
    url: str


class Dropped(msgspec.Struct, tag_field="kind", tag="dropped", frozen=True):
    """How many entries are missing here: the disk was slower than the network."""

    time: _Time
    count: int


class _Text(msgspec.Struct, tag_field="kind", tag="text"):
    time: _Time
    direction: Direction
    data: str


class _Binary(msgspec.Struct, tag_field="kind", tag="binary"):
    time: _Time
    direction: Direction
    encoding: Literal["base64"]
    data: bytes


class _Close(msgspec.Struct, tag_field="kind", tag="close"):
    time: _Time
    direction: Direction
    data: CloseFrame


Record: TypeAlias = Header | Dropped | Entry

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Header | Dropped | _Text | _Binary | _Close).decode


def _stamp(time: int) -> str:
    """Return nanoseconds since 1970 as ISO 8601 with microseconds."""
    second, rest = divmod(time // 1000, 1_000_000)
    return f"{_second(second)}.{rest:06}Z"


@lru_cache(maxsize=2)  # formatting a date takes longer than encoding a message
def _second(second: int) -> str:
    return f"{_EPOCH + timedelta(seconds=second):%Y-%m-%dT%H:%M:%S}"


def _line(**members: object) -> bytes:
    return _encode(members) + b"\n"


def header_line(time: int, client: str, url: str) -> bytes:
    """Return a header; `url` is the one without secrets, `time` nanoseconds since 1970."""
    return _line(kind="recording", version=VERSION, time=_stamp(time), client=client, url=url)


def dropped_line(time: int, count: int) -> bytes:
    """Return the note that so many entries are missing."""
    return _line(time=_stamp(time), kind="dropped", count=count)


def text_line(time: int, direction: str, payload: bytes) -> bytes:
    """Return the line of a text message."""
    return _line(time=_stamp(time), direction=direction, kind="text", data=payload.decode())


def binary_line(time: int, direction: str, payload: bytes) -> bytes:
    """Return the line of a binary message."""
    return _line(
        time=_stamp(time), direction=direction, kind="binary", encoding="base64", data=payload
    )


def close_line(time: int, direction: str, payload: bytes) -> bytes:
    """Return the line of a close frame."""
    frame = CloseFrame(int.from_bytes(payload[:2]) or None, payload[2:].decode())
    return _line(time=_stamp(time), direction=direction, kind="close", data=frame)


def opens(line: bytes) -> bool:
    """Whether a line is a header, or the beginning of one."""
    return OPENING.startswith(line[: len(OPENING)].rstrip(b"\r\n"))


def parse(line: bytes) -> Record:
    """
    Return what a line says.

    Raises:
        ValueError: nothing that we know.
    """
    try:
        record: Any = _decode(line)
        if isinstance(record, Header | Dropped):
            return record
        kind = record.__struct_config__.tag
        return Entry(record.time.astimezone(UTC), record.direction, kind, record.data)
    except (msgspec.DecodeError, UnicodeError, RecursionError, OverflowError) as exc:
        raise ValueError(str(exc)) from None
