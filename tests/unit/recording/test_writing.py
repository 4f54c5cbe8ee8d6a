from __future__ import annotations

import os
import stat
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from wsfleet import recording
from wsfleet._client.journal import Journal, open_file
from wsfleet._client.tape import Tape
from wsfleet._wire.frames import Opcode
from wsfleet.recording.lines import header_line

if TYPE_CHECKING:
    from pathlib import Path

HEADER = header_line(0, "c", "ws://fake/")


class FakeFile:
    """A file in the hand: takes some bytes at a time, until it is full."""

    def __init__(self, room: int = 1 << 40, at_a_time: int = 1 << 40) -> None:
        self.data = b""
        self.closed = 0
        self.largest = 0
        self._room = room
        self._at_a_time = at_a_time

    def seek(self, offset: int, whence: int, /) -> int:
        raise OSError(22, "Invalid argument")

    def read(self, size: int, /) -> bytes:
        return b""

    def write(self, data: memoryview, /) -> int:
        self.largest = max(self.largest, len(data))
        taken = bytes(data[: min(self._at_a_time, self._room - len(self.data))])
        if not taken:
            raise OSError(28, "No space left on device")
        self.data += taken
        return len(taken)

    def close(self) -> None:
        self.closed += 1


def journal(tape: Tape, path: Path | str = "fake", **options: Any) -> Journal:
    """Return a journal of the client "c"."""
    return Journal(path, tape, client="c", url="ws://fake/", **options)


def put(tape: Tape, *texts: str) -> None:
    """Let texts come in."""
    for text in texts:
        tape.put("in", Opcode.TEXT, text.encode())


def texts(path: Path) -> list[Any]:
    """Return what a recording's entries hold."""
    return [entry.data for entry in recording.read(path)]


@pytest.mark.parametrize(
    "bounds", [{"max_entries": 3}, {"max_bytes": 3}, {"max_entries": 3, "max_bytes": 3}]
)
def test_a_tape_is_bounded(bounds: dict[str, int]) -> None:
    """What does not fit, in number or in bytes, is counted and not kept; room is used again."""
    tape = Tape(**bounds)
    put(tape, *"abcde")
    assert (tape.held, tape.held_bytes, tape.dropped) == (3, 3, 2)

    for _ in tape.pieces():
        put(tape, "f")  # what is being written still counts
        assert (tape.held, tape.dropped) == (3, 3)
    put(tape, *"gh")
    assert (tape.held, tape.held_bytes, tape.dropped) == (2, 2, 3)


def test_a_message_larger_than_the_bound_is_taken_alone() -> None:
    """A message larger than all the room is recorded when nothing else is held, never two."""
    tape = Tape(max_bytes=3)
    put(tape, "large", "large", "a")

    assert (tape.held, tape.held_bytes, tape.dropped) == (1, 5, 2)


def test_a_tape_that_ended_takes_nothing() -> None:
    """After the end nothing is held, and nothing counts as dropped."""
    tape = Tape()
    tape.end()
    put(tape, "late")

    assert (tape.held, tape.dropped) == (0, 0)


def test_lines_are_written_in_pieces() -> None:
    """However much is held, it is encoded and written in pieces, and stays in order."""
    tape, file = Tape(), FakeFile(at_a_time=1000)
    for number in range(3000):
        put(tape, f"{number:01000}")
    journal(tape, opener=lambda _: file).finish()

    assert file.largest < 300_000
    lines = file.data.splitlines()
    assert [int(line[-1002:-2]) for line in lines[1:]] == list(range(3000))
    assert tape.held == tape.held_bytes == 0


def test_only_the_owner_can_read_a_recording(tmp_path: Path) -> None:
    """A new file has mode 0600, whatever the umask would leave."""
    umask = os.umask(0)
    try:
        journal(Tape(), tmp_path / "session.jsonl").finish()
    finally:
        os.umask(umask)

    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "session.jsonl").stat().st_mode) == 0o600


def test_a_recording_is_appended_to(tmp_path: Path) -> None:
    """What a file holds stays; each life of a client begins with a header of its own."""
    path = tmp_path / "session.jsonl"
    for text in ("one", "two"):
        tape = Tape()
        put(tape, text)
        journal(tape, path).finish()

    assert texts(path) == ["one", "two"]
    assert path.read_bytes().count(b'{"kind":"recording"') == 2


@pytest.mark.parametrize("cut", [1, 9, 80])
def test_a_recording_that_was_torn_is_appended_to(tmp_path: Path, cut: int) -> None:
    """After a crash in the middle of a line the next client begins a line of its own."""
    path = tmp_path / "session.jsonl"
    for text in ("one", "two", "three"):
        tape = Tape()
        put(tape, text)
        journal(tape, path).finish()
        path.write_bytes(path.read_bytes()[:-cut])
    journal(Tape(), path).finish()

    whole = ["one", "two", "three"] if cut == 1 else []
    assert texts(path) == whole
    assert recording.metadata(path).torn == (0 if whole else 3)


@pytest.mark.parametrize("room", [0, 10, len(HEADER), len(HEADER) + 30])
def test_a_full_disk_ends_the_recording(room: int, tmp_path: Path) -> None:
    """On a full disk the file is closed, the error is kept, and nothing more is held."""
    tape, file = Tape(), FakeFile(room)
    put(tape, "lost")
    writer = journal(tape, opener=lambda _: file)
    writer.write()
    failure = writer.failure
    put(tape, "late")
    writer.write()
    writer.finish()

    assert not list(tape.pieces())
    assert isinstance(failure, OSError)
    assert writer.failure is failure
    assert (file.closed, len(file.data)) == (1, room)
    path = tmp_path / "session.jsonl"
    path.write_bytes(file.data)
    assert texts(path) == []


def test_a_path_that_cannot_be_opened_is_kept_as_the_failure(tmp_path: Path) -> None:
    """A folder is no file: told, and nothing is raised in the thread."""
    writer = journal(Tape(), tmp_path)
    writer.finish()

    assert isinstance(writer.failure, IsADirectoryError | PermissionError)


def test_a_finished_journal_writes_no_more(tmp_path: Path) -> None:
    """A write that was given up on, and gets its turn after the end, does nothing."""
    tape = Tape()
    writer = journal(tape, tmp_path / "session.jsonl")
    writer.finish()
    put(tape, "late")
    writer.write(3)

    assert writer.failure is None
    assert recording.metadata(tmp_path / "session.jsonl").count == 0


def test_what_was_dropped_stands_in_the_file(tmp_path: Path) -> None:
    """A recording with holes says so, and reads as any other."""
    tape = Tape()
    put(tape, "a")
    writer = journal(tape, tmp_path / "session.jsonl")
    writer.write(5)
    put(tape, "b")
    writer.finish(6)

    assert texts(tmp_path / "session.jsonl") == ["a", "b"]
    assert recording.metadata(tmp_path / "session.jsonl").dropped == 11


def test_writes_take_turns(tmp_path: Path) -> None:
    """Two threads, one of them given up on, never mix their lines."""
    path = tmp_path / "session.jsonl"
    inside, go = threading.Event(), threading.Event()

    class Slow(FakeFile):
        def write(self, data: memoryview, /) -> int:
            inside.set()
            assert go.wait(10)
            return super().write(data)

    tape, file = Tape(), Slow(at_a_time=7)
    put(tape, "a", "b")
    writer = journal(tape, opener=lambda _: file)
    first = threading.Thread(target=writer.write)
    first.start()
    assert inside.wait(10)
    put(tape, "c")
    second = threading.Thread(target=writer.finish)
    second.start()
    go.set()
    first.join()
    second.join()

    path.write_bytes(file.data)
    assert texts(path) == ["a", "b", "c"]
    assert file.closed == 1


def test_a_file_is_opened_for_appending(tmp_path: Path) -> None:
    """Another process that appends to the same file loses nothing."""
    path = tmp_path / "session.jsonl"
    file = open_file(path)
    path.write_bytes(b"other\n")
    file.write(memoryview(b"ours\n"))
    file.close()

    assert path.read_bytes() == b"other\nours\n"
