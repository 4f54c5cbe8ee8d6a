from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsfleet import recording
from wsfleet._wire.frames import close_payload
from wsfleet.errors import ConfigError, RecordingError
from wsfleet.recording import CloseFrame, Entry, replaying
from wsfleet.recording.lines import (
    binary_line,
    close_line,
    dropped_line,
    header_line,
    text_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
HEADER = header_line(1_735_787_045 * 10**9, "c", "ws://fake/")

same_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
times = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds it
texts = st.text(st.characters(codec="utf-8"))
closes = st.builds(
    CloseFrame, st.integers(1000, 4999), st.text(st.characters(codec="utf-8"), max_size=30)
)
data = st.one_of(texts, st.binary(), closes, st.just(CloseFrame(None, "")))
KINDS: dict[type[Any], Any] = {str: "text", bytes: "binary", CloseFrame: "close"}


def entry(time: datetime, direction: Any, value: Any) -> Entry:
    """Return an entry of the kind that its data have."""
    return Entry(time, direction, KINDS[type(value)], value)


entries = st.lists(st.builds(entry, times, st.sampled_from(["in", "out"]), data), max_size=8)


def line(item: Entry) -> bytes:
    """Return an entry as a client writes it."""
    time = (item.time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    if isinstance(item.data, str):
        return text_line(time, item.direction, item.data.encode())
    if isinstance(item.data, bytes):
        return binary_line(time, item.direction, item.data)
    return close_line(time, item.direction, close_payload(item.data.code, item.data.reason))


def tick(seconds: float, text: str = "tick") -> Entry:
    """Return a text that came so many seconds after the start."""
    return entry(START + timedelta(seconds=seconds), "in", text)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes bytes to a file and returns its path."""

    def write(*lines: bytes) -> Path:
        path = tmp_path / "session.jsonl"
        path.write_bytes(b"".join(lines))
        return path

    return write


@given(entries)
@same_file
def test_what_was_written_is_read(write: Callable[..., Path], items: list[Entry]) -> None:
    """Whatever passed, in whatever order, reads back as it was, to the microsecond."""
    path = write(HEADER, *map(line, items))

    assert list(recording.read(path)) == items
    assert path.read_bytes().count(b"\n") == len(items) + 1


@given(entries, st.data())
@same_file
def test_a_torn_recording_is_its_beginning(
    write: Callable[..., Path], items: list[Entry], draw: st.DataObject
) -> None:
    """Cut at any byte, a recording reads as the entries before the cut, and says so."""
    whole = HEADER + b"".join(map(line, items))
    cut = draw.draw(st.integers(0, len(whole)))
    path = write(whole[:cut])

    got = list(recording.read(path))
    assert got == items[: len(got)]
    assert len(got) >= whole[:cut].count(b"\n") - 1
    told = recording.metadata(path)
    lost_in_part = cut > 0 and whole[cut - 1 : cut] != b"\n" and whole[cut : cut + 1] != b"\n"
    assert (told.count, told.torn) == (len(got), int(lost_in_part))


def test_a_torn_line_before_the_next_session_is_passed_over(
    write: Callable[..., Path],
) -> None:
    """After a crash the next client appends its own; both sides of the tear are read."""
    torn = line(tick(1))[:-9] + b"\n"
    again = torn + HEADER[:20] + b"\n"
    path = write(HEADER, line(tick(0)), torn, HEADER, line(tick(2)), again, HEADER)

    assert list(recording.read(path)) == [tick(0), tick(2)]
    assert recording.metadata(path).torn == 3


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage\n",
        b"\n",
        b"{}\n",
        b"\xff\xfe\n",
        b'{"kind":"text"}\n',
        b'{"kind":"poem","time":"2025-01-01T00:00:00Z","direction":"in","data":""}\n',
        b'{"kind":"text","time":"2025-01-01T00:00:00Z","direction":"up","data":""}\n',
        b'{"kind":"text","time":"2025-01-01T00:00:00","direction":"in","data":""}\n',
        b'{"kind":"text","time":"0001-01-01T00:00:00+14:00","direction":"in","data":""}\n',
        line(entry(START, "in", b"bytes")).replace(b"Ynl0ZXM=", b"!"),
        b"[" * 5000 + b"\n",
    ],
)
def test_garbage_is_told_with_its_place(write: Callable[..., Path], garbage: bytes) -> None:
    """A line that no crash explains is an error that names file and line."""
    path = write(HEADER, line(tick(0)), garbage, line(tick(1)))

    for reader in (lambda: list(recording.read(path)), lambda: recording.metadata(path)):
        with pytest.raises(RecordingError) as caught:
            reader()
        assert str(caught.value) == f"{path}, line 3: is not a line of a recording"


@pytest.mark.parametrize("content", [b"\0" * 4096, b"# notes\n", b'{"kind":"text"}\n', b"["])
def test_what_is_no_recording_is_refused_at_once(
    write: Callable[..., Path], content: bytes
) -> None:
    """A file that does not begin as recordings do is refused, not taken for a torn one."""
    with pytest.raises(RecordingError, match=r"session\.jsonl, line 1: is not the beginning"):
        next(recording.read(write(content)))


def test_a_later_format_is_told(write: Callable[..., Path]) -> None:
    """A recording of a later wsfleet says to update, and is not guessed at."""
    path = write(HEADER.replace(b'"version":1', b'"version":2'), b"who knows\n")

    with pytest.raises(RecordingError, match="update wsfleet"):
        list(recording.read(path))


def test_what_a_later_writer_adds_is_ignored(write: Callable[..., Path]) -> None:
    """Members that this reader does not know are no error."""
    path = write(HEADER, line(tick(0)).replace(b"{", b'{"size":4,', 1))

    assert list(recording.read(path)) == [tick(0)]


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    """A file that is not there is told as Python tells it."""
    with pytest.raises(FileNotFoundError):
        list(recording.read(tmp_path / "nothing"))


def test_a_recording_is_read_as_it_is_taken(write: Callable[..., Path]) -> None:
    """Entries come before the file was read to its end: its size does not matter."""
    path = write(HEADER, *[line(tick(n)) for n in range(100_000)], b"garbage\n", line(tick(0)))

    assert list(islice(recording.read(path), 3)) == [tick(0), tick(1), tick(2)]


def test_the_numbers_of_a_recording(write: Callable[..., Path]) -> None:
    """Metadata count what there is; times compare, also when the clock was set back."""
    path = write(
        HEADER,
        line(tick(10)),
        line(entry(START + timedelta(seconds=12.5), "out", b"\0")),
        dropped_line(0, 7),
        HEADER.replace(b'"c"', b'"d"'),
        line(entry(START, "in", CloseFrame(1000, "bye"))),
    )

    told = recording.metadata(path)

    assert (told.count, told.inbound, told.outbound) == (3, 2, 1)
    assert (told.first, told.last) == (START, START + timedelta(seconds=12.5))
    assert told.duration == pytest.approx(12.5)
    assert (told.torn, told.dropped) == (0, 7)
    assert (told.client, told.url) == ("d", "ws://fake/")


def test_the_numbers_of_nothing(write: Callable[..., Path]) -> None:
    """A recording without entries has no times, and lasted no time."""
    told = recording.metadata(write())

    assert (told.count, told.duration, told.first, told.last) == (0, 0.0, None, None)
    assert (told.client, told.url) == (None, None)


@pytest.fixture
def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read where virtual time is: it does not wait for threads."""

    async def call(function: Callable[[], None]) -> None:
        function()

    monkeypatch.setattr(replaying, "_in_thread", call)


@pytest.mark.parametrize(
    ("options", "arrivals"),
    [
        ({}, [0, 0, 0, 0]),
        ({"realtime": True}, [0, 1.5, 1.5, 4]),
        ({"realtime": True, "speed": 2}, [0, 0.75, 0.75, 2]),
    ],
)
@pytest.mark.usefixtures("without_threads")
async def test_a_replay_keeps_the_pace(
    write: Callable[..., Path], options: Any, arrivals: list[float]
) -> None:
    """
    In real time entries come as far apart as they did; a clock set back waits for nothing.
    """
    path = write(HEADER, *[line(tick(seconds)) for seconds in (0, 1.5, 1, 4)])
    began = anyio.current_time()
    came = [anyio.current_time() - began async for _ in recording.replay(path, **options)]

    assert came == pytest.approx(arrivals)


@pytest.mark.usefixtures("without_threads")
async def test_a_replay_delivers_what_comes_before_garbage(write: Callable[..., Path]) -> None:
    """An error waits behind the entries before it."""
    path = write(HEADER, line(tick(0)), line(tick(1)), b"garbage\n", line(tick(2)))
    got = []
    with pytest.raises(RecordingError, match="line 4"):
        async for item in recording.replay(path):
            got.append(item)  # noqa: PERF401 - what came before the error counts

    assert got == [tick(0), tick(1)]


@pytest.mark.usefixtures("without_threads")
async def test_a_replay_reads_ahead_only_so_much(write: Callable[..., Path]) -> None:
    """Large messages are not gathered in memory ahead of who takes them."""
    path = write(HEADER, *[line(tick(n, "x" * 600_000)) for n in range(8)])
    playing: Any = recording.replay(path)
    await anext(playing)

    assert len(playing._ahead) == 1


@pytest.mark.parametrize("speed", [0, -1, math.inf, math.nan])
def test_a_speed_that_can_never_work_is_refused(speed: float) -> None:
    """A speed of nothing is refused before the file is opened."""
    with pytest.raises(ConfigError, match="speed"):
        recording.replay("nothing", realtime=True, speed=speed)
