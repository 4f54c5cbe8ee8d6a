from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.fakes import FakeNetwork, server_frame
from wsfleet import Client, ClientState, connect, recording
from wsfleet._client import recorder, tape
from wsfleet._client.recorder import MOST_HANGING
from wsfleet._wire.connection import Connection
from wsfleet._wire.frames import Opcode
from wsfleet.errors import DisconnectedError
from wsfleet.recording import CloseFrame

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from pathlib import Path

URL = "ws://fake/"


class Disk:
    """
    Stands in for the threads, for which virtual time does not wait; slow on demand.

    A thread that is given up on ends all the same.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.writes = 0
        self.hung: list[Callable[[], object]] | None = None
        """Calls that do not return, where the disk hangs."""

    async def __call__(self, function: Callable[..., object], *args: object) -> None:
        self.writes += 1
        if self.hung is not None:
            self.hung.append(partial(function, *args))
            await anyio.sleep_forever()
        try:
            await anyio.sleep(self.seconds)
        finally:
            function(*args)


@pytest.fixture(autouse=True)
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Return the disk that clients record on."""
    disk = Disk()
    monkeypatch.setattr(recorder, "_in_thread", disk)
    return disk


@pytest.fixture
def network() -> FakeNetwork:
    """Return a network with one server that answers each request with its method."""
    network = FakeNetwork()
    network.server().answer = lambda request: request.get("method")
    return network


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where to record to."""
    return tmp_path / "session.jsonl"


def passed(path: Path) -> list[tuple[str, str, Any]]:
    """Return what a recording says, without its times."""
    return [(entry.direction, entry.kind, entry.data) for entry in recording.read(path)]


def headers(path: Path) -> int:
    """Return how many headers a recording has."""
    return path.read_bytes().count(b'"kind":"recording"')


def told(entries: list[MutableMapping[str, Any]], event: str) -> list[MutableMapping[str, Any]]:
    """Return the log's entries of one event."""
    return [entry for entry in entries if entry["event"] == event]


@pytest.mark.parametrize("decode", ["json", "raw", len])
async def test_all_that_passes_is_recorded_as_it_is(
    network: FakeNetwork, path: Path, decode: Any
) -> None:
    """Text stands as it came and went, not as it was decoded; so do bytes and goodbyes."""
    async with connect(URL, opener=network, record_to=path, decode=decode) as client:
        network.server().link.send('{ "a" :1.50}')
        network.server().link.send(b"\x00\xff")
        await client.send_message('[ "é" ]')
        client.send_nowait(b"\x01")
        await client.request("add", timeout=1)

    assert passed(path) == [
        ("in", "text", '{ "a" :1.50}'),
        ("in", "binary", b"\x00\xff"),
        ("out", "text", '[ "é" ]'),
        ("out", "binary", b"\x01"),
        ("out", "text", '{"jsonrpc":"2.0","id":1,"method":"add"}'),
        ("in", "text", '{"id":1,"result":"add"}'),
        ("out", "close", CloseFrame(1000, "")),
        ("in", "close", CloseFrame(1000, "")),
    ]


async def test_a_recording_goes_on_across_reconnects(network: FakeNetwork, path: Path) -> None:
    """Each connection of one life is in one recording, with how the peer took its leave."""
    async with connect(URL, opener=network, record_to=path) as client:
        network.server().link.send("one")
        network.server().link.close(1012, "restart")
        await client.reconnect()
        network.server().link.send("two")

    assert passed(path)[:4] == [
        ("in", "text", "one"),
        ("in", "close", CloseFrame(1012, "restart")),
        ("out", "close", CloseFrame(1012, "")),
        ("in", "text", "two"),
    ]
    assert headers(path) == 1


async def test_what_breaks_the_protocol_is_no_message(network: FakeNetwork, path: Path) -> None:
    """Text that is not UTF-8 is not recorded; how we ended the connection is."""
    async with connect(URL, opener=network, record_to=path, retry_count=0) as client:
        network.server().link.send_bytes(server_frame(Opcode.TEXT, b"\xff"))
        assert client.get_state() is ClientState.DISCONNECTED

    assert passed(path)[0] == ("out", "close", CloseFrame(1007, "text message is not UTF-8"))


async def test_a_client_that_is_cancelled_flushes(
    network: FakeNetwork, path: Path, disk: Disk
) -> None:
    """Cancelling the client's task loses nothing of the recording, its goodbye included."""
    client = Client(URL, opener=network, record_to=path)
    async with anyio.create_task_group() as tasks:
        await tasks.start(client.run)
        network.server().link.send("last")
        disk.seconds = 1.0
        before = anyio.current_time()
        tasks.cancel_scope.cancel()

    assert anyio.current_time() - before == pytest.approx(1.0)
    assert passed(path)[:2] == [
        ("in", "text", "last"),
        ("out", "close", CloseFrame(1001, "")),
    ]


async def test_a_closed_client_has_flushed(network: FakeNetwork, path: Path) -> None:
    """When close() returns the recording is whole."""
    async with connect(URL, opener=network, record_to=path) as client:
        network.server().link.send("last")
        await client.close()
        assert len(passed(path)) == 3


async def test_a_client_that_failed_has_flushed(network: FakeNetwork, path: Path) -> None:
    """A client that ends for good by itself flushes, and ends."""
    with pytest.raises(DisconnectedError):
        async with connect(URL, opener=network, record_to=path, retry_count=0):
            network.server().link.send("last")
            network.server().link.drop()
            await anyio.sleep_forever()

    assert passed(path) == [("in", "text", "last")]


async def test_a_handler_that_crashes_loses_nothing(network: FakeNetwork, path: Path) -> None:
    """The message that crashed the handler is in the recording."""

    def handler(event: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with connect(URL, opener=network, record_to=path, handler=handler):
            network.server().link.send("poison")
            await anyio.sleep_forever()

    assert passed(path)[0] == ("in", "text", "poison")


async def test_each_life_appends(network: FakeNetwork, path: Path) -> None:
    """A client that runs again appends to its recording, with a header of its own."""
    client = Client(URL, opener=network, record_to=path)
    for text in ("one", "two"):
        async with anyio.create_task_group() as tasks:
            await tasks.start(client.run)
            network.server().link.send(text)
            await client.close()

    assert [data for way, _, data in passed(path) if way == "in" and isinstance(data, str)] == [
        "one",
        "two",
    ]
    assert headers(path) == 2


async def test_messages_are_written_together(
    network: FakeNetwork, path: Path, disk: Disk
) -> None:
    """Messages in quick succession cost few writes, and are on the disk within a moment."""
    async with connect(URL, opener=network, record_to=path):
        for _ in range(200):
            network.server().link.send("tick")
            await anyio.sleep(0.001)
        await anyio.sleep(0.1)
        assert len(passed(path)) == 200
        assert disk.writes <= 6


async def test_a_slow_disk_holds_nobody_up(
    network: FakeNetwork,
    path: Path,
    disk: Disk,
    log_entries: list[MutableMapping[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A flood on a slow disk keeps memory bounded: what does not fit is dropped, counted, told
    once for each time, and noted in the recording.
    """
    monkeypatch.setattr(tape.Tape.__init__, "__defaults__", (100, 1_000_000))
    disk.seconds = 1.0
    got: list[Any] = []
    async with connect(
        URL, name="c", opener=network, record_to=path, handler=got.append
    ) as client:
        await anyio.sleep(2)
        for _ in range(2):
            for _ in range(250):
                network.server().link.send("tick")
            await anyio.sleep(10)
        assert await client.request("ping") is not None
    assert len([event for event in got if event.data == "tick"]) == 500

    dropped = told(log_entries, "recording.dropped")
    assert (
        dropped
        == [
            {
                "event": "recording.dropped",
                "log_level": "warning",
                "client": "c",
                "url": URL,
                "path": str(path),
                "count": 150,
            }
        ]
        * 2
    )
    metadata = recording.metadata(path)
    assert (metadata.inbound, metadata.dropped) == (200 + 2, 300)


async def test_a_disk_that_hangs_delays_the_end_by_close_timeout(
    network: FakeNetwork, path: Path, disk: Disk, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A disk that takes nothing is given up after close_timeout, and that is told."""
    async with connect(URL, opener=network, record_to=path, close_timeout=2.0) as client:
        await anyio.sleep(1)
        disk.seconds = 1000.0
        network.server().link.send("stuck")
        await anyio.sleep(1)
        before = anyio.current_time()
        await client.close()
        assert anyio.current_time() - before == pytest.approx(2.0)

    (failed,) = told(log_entries, "recording.failed")
    assert failed["error"] == "the disk did not take the rest within 2 s"


async def test_a_recording_that_fails_is_told_and_the_connection_lives(
    network: FakeNetwork, tmp_path: Path, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A path that cannot work is one warning; messages go on, unrecorded."""
    path = tmp_path / "missing" / "session.jsonl"
    async with connect(URL, name="c", opener=network, record_to=path) as client:
        await anyio.sleep(1)
        (failed,) = told(log_entries, "recording.failed")
        assert await client.request("one") is not None
        await client.reconnect()
        assert await client.request("two") is not None
        await anyio.sleep(1)

    assert len(told(log_entries, "recording.failed")) == 1
    assert failed["log_level"] == "warning"
    assert "No such file" in failed["error"]
    assert (failed["client"], failed["path"]) == ("c", str(path))


async def test_no_secret_is_in_the_header(tmp_path: Path) -> None:
    """The recording's header has client and URL, without userinfo, query or header values."""
    network, path = FakeNetwork(), tmp_path / "session.jsonl"
    url = "ws://user:s3cret@fake/feed?key=s3cret"
    headers = {"Authorization": "Bearer s3cret"}
    async with connect(
        url, name="c", opener=network, record_to=str(path), headers=headers, subprotocols=["x"]
    ):
        pass

    text = path.read_text()
    assert "s3cret" not in text
    assert '"client":"c","url":"ws://***@fake/feed?key=***"' in text


async def test_restarts_while_the_disk_hangs_leave_no_threads(
    network: FakeNetwork, path: Path, disk: Disk, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """
    A client that is run again and again while its disk hangs keeps two threads busy, and is
    recorded again when the disk goes on.
    """
    client = Client(URL, opener=network, record_to=path, close_timeout=1.0)

    async def run_once() -> None:
        async with anyio.create_task_group() as tasks:
            await tasks.start(client.run)
            network.server().link.send("message")
            await anyio.sleep(1)
            await client.close()

    hung: list[Callable[[], object]] = []
    disk.hung = hung
    for _ in range(5):
        await run_once()
    assert len(hung) == MOST_HANGING
    errors = [entry["error"] for entry in told(log_entries, "recording.failed")]
    assert errors[1:] == ["the disk has not taken an earlier recording yet"] * 4
    disk.hung = None
    for call in hung:
        call()
    await run_once()
    texts = [entry.data for entry in recording.read(path) if entry.data == "message"]
    assert len(texts) == 2  # that of the first life, and of the last


async def test_without_recording_nothing_is_added(network: FakeNetwork, disk: Disk) -> None:
    """A client without record_to has plain connections, and no thread writes."""
    async with connect(URL, opener=network) as client:
        assert type(client.life.connection) is Connection
        await client.request("ping")

    assert disk.writes == 0
