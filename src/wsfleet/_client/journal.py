"""
The file of a recording, from its header to its end.

Rule 1: all of this runs in threads; a lock keeps them in turn, because a thread that was given
up on may still wait for its disk.
Rule 2: only the owner can read a file that is made here (mode 0600); one that exists is
appended to, and keeps its mode. Unless the user allows it, a file that others could have put
there, or can change, is refused.
Rule 3: after the first error nothing more is written; it is kept in `failure` until told.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from time import time_ns
from typing import TYPE_CHECKING, Protocol

from wsfleet.recording.lines import dropped_line, header_line

from .safe_file import open_owner_only, open_safely

if TYPE_CHECKING:
    from collections.abc import Callable

    from .tape import Tape


class File(Protocol):
    """What is needed of a file that is open for appending."""

    def seek(self, offset: int, whence: int, /) -> int:
        """Move to where to read."""

    def read(self, size: int, /) -> bytes | None:
        """Read, from where it was moved to."""

    def write(self, data: memoryview, /) -> int | None:
        """Append, perhaps in part; return how much."""

    def close(self) -> None:
        """Close it."""


def open_file(path: str | os.PathLike[str]) -> File:
    """
    Open a file of this user's for appending; make it, readable by its owner only, where there
    is none.

    Raises:
        OSError: it cannot be opened, or it is not safe: see `open_safely`.
    """
    return open(path, "a+b", buffering=0, opener=open_safely)


def open_any_file(path: str | os.PathLike[str]) -> File:
    """
    Open whatever is there for appending: symbolic links are followed, and pipes, devices and
    files of others are taken, too. A file that is made can be read by its owner only.

    Raises:
        OSError: it cannot be opened.
    """
    return open(path, "a+b", buffering=0, opener=open_owner_only)


class Journal:
    """
    Writes a tape to a file.

    Args:
        path: of the file; opened at the first write.
        tape: what to write.
        client: the client's name.
        url: its endpoint, without secrets.
        opener: opens the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        tape: Tape,
        *,
        client: str,
        url: str,
        opener: Callable[[str | os.PathLike[str]], File] = open_file,
    ) -> None:
        self.failure: Exception | None = None
        self._path = path
        self._tape = tape
        self._client = client
        self._url = url
        self._opener = opener
        self._turn = threading.Lock()
        self._file: File | None = None
        self._over = False

    def write(self, dropped: int = 0) -> None:
        """Write what the tape holds, and that so many entries were dropped before."""
        with self._turn:
            if not self._over:
                self._try(self._write, dropped)

    def finish(self, dropped: int = 0) -> None:
        """Write what is left, and close the file."""
        with self._turn:
            if not self._over:
                self._try(self._write_and_close, dropped)

    def _try(self, step: Callable[[int], None], dropped: int) -> None:
        try:
            step(dropped)
        except Exception as exc:  # noqa: BLE001 - a thread that was given up on has nobody to raise to
            self.failure = exc
            self._over = True
            self._tape.give_up()
            if self._file is not None:
                with suppress(OSError):  # the error that came first is the one to tell
                    self._file.close()

    def _write(self, dropped: int) -> None:
        if self._file is None:
            self._file = self._opener(self._path)
            _append(self._file, self._beginning(self._file))
        for piece in self._tape.pieces():
            _append(self._file, piece.lines)
        if dropped:
            _append(self._file, dropped_line(time_ns(), dropped))

    def _write_and_close(self, dropped: int) -> None:
        self._write(dropped)
        self._over = True
        assert self._file is not None
        self._file.close()

    def _beginning(self, file: File) -> bytes:
        header = header_line(time_ns(), self._client, self._url)
        return b"\n" + header if _ends_torn(file) else header


def _ends_torn(file: File) -> bool:
    """Whether the last line was cut short by a crash."""
    try:
        file.seek(-1, os.SEEK_END)
    except OSError:  # it is empty, or has no end
        return False
    return file.read(1) != b"\n"


def _append(file: File, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) or 0 :]
