"""
From the lines of a recording to its entries.

Rule 1: a line cut short by a crash or a full disk is passed over and counted; it is the last,
or the next client's header follows it.
Rule 2: any other line that cannot be read is an error with file and line: nothing is guessed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from wsfleet.errors import RecordingError

from .entries import Entry
from .lines import OPENING, VERSION, Dropped, Header, opens, parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from .lines import Record

_TORN: Final = "torn"


class Metadata(msgspec.Struct, frozen=True):
    """
    A recording in numbers.

    Attributes:
        count: its entries.
        inbound: those that the peer sent.
        outbound: those that we sent.
        duration: seconds from the earliest entry to the latest.
        first: the earliest time, or None without entries.
        last: the latest time, or None without entries.
        torn: lines that a crash or a full disk cut short; they are passed over.
        dropped: entries that are missing because the disk was slower than the network.
        client: the name of the client that wrote it, the last one if several did; or None.
        url: its endpoint, without secrets; or None.
    """

    count: int
    inbound: int
    outbound: int
    duration: float
    first: datetime | None
    last: datetime | None
    torn: int
    dropped: int
    client: str | None
    url: str | None


def read(path: str | os.PathLike[str]) -> Iterator[Entry]:
    """
    Yield the entries of a recording, in the order in which they passed.

    The file is read as entries are taken, and closed after the last, or with the iterator.

    Args:
        path: the recording.

    Raises:
        RecordingError: a line cannot be read, and was not cut short by a crash.
        OSError: the file cannot be read.
    """
    return (record for record in _records(path) if isinstance(record, Entry))


def metadata(path: str | os.PathLike[str]) -> Metadata:
    """
    Return a recording in numbers; reads all of it, one line at a time.

    Args:
        path: the recording.

    Raises:
        RecordingError: a line cannot be read, and was not cut short by a crash.
        OSError: the file cannot be read.
    """
    count = _Count()
    for record in _records(path):
        count.add(record)
    return count.metadata()


def _records(path: str | os.PathLike[str]) -> Iterator[Record | str]:
    """Yield what the lines say, and `_TORN` for each that was cut short."""
    with Path(path).open("rb") as file:
        if not opens(file.peek(len(OPENING))):
            raise RecordingError(os.fspath(path), 1, "is not the beginning of a recording")
        torn = 0
        for number, line in enumerate(file, 1):
            if torn and not opens(line):
                raise RecordingError(os.fspath(path), torn, "is not a line of a recording")
            try:
                record = parse(line)
            except ValueError:
                torn = number
                yield _TORN
                continue
            torn = 0
            _check_version(os.fspath(path), number, record)
            yield record


def _check_version(path: str, number: int, record: Record) -> None:
    if isinstance(record, Header) and record.version > VERSION:
        raise RecordingError(
            path,
            number,
            f"begins format {record.version}, and this wsfleet reads format {VERSION}: "
            "update wsfleet",
        )


class _Count:
    """Adds up."""

    def __init__(self) -> None:
        self._inbound = self._outbound = self._torn = self._dropped = 0
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._header: Header | None = None

    def add(self, record: Record | str) -> None:
        if isinstance(record, Entry):
            self._add_entry(record)
        elif isinstance(record, Header):
            self._header = record
        elif isinstance(record, Dropped):
            self._dropped += record.count
        else:
            self._torn += 1

    def _add_entry(self, entry: Entry) -> None:
        if entry.direction == "in":
            self._inbound += 1
        else:
            self._outbound += 1
        # The wall clock may have been set back meanwhile.
        self._first = entry.time if self._first is None else min(self._first, entry.time)
        self._last = entry.time if self._last is None else max(self._last, entry.time)

    def metadata(self) -> Metadata:
        first, last, header = self._first, self._last, self._header
        return Metadata(
            count=self._inbound + self._outbound,
            inbound=self._inbound,
            outbound=self._outbound,
            duration=(last - first).total_seconds() if first and last else 0.0,
            first=first,
            last=last,
            torn=self._torn,
            dropped=self._dropped,
            client=None if header is None else header.client,
            url=None if header is None else header.url,
        )
