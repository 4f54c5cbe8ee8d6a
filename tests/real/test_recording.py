from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wsfleet import ChildSpec, Client, ClientSupervisor, Message, connect, recording
from wsfleet._client import journal
from wsfleet.testing import MockServer, json_rpc

if TYPE_CHECKING:
    from collections.abc import MutableMapping

FULL = Path("/dev/full")


@pytest.mark.parametrize("compression", [False, True])
async def test_a_session_over_a_real_socket(tmp_path: Path, compression: bool) -> None:
    """What passed over a real socket, compressed or not, reads back in order, for us alone."""
    path = tmp_path / "session.jsonl"
    sent = [f"message {number} " * number for number in range(200)]
    async with MockServer(compression="deflate" if compression else None) as server:
        async with connect(
            server.url, record_to=path, compression=compression, decode="raw"
        ) as client:
            events = aiter(client)
            for message in sent:
                await client.send_message(message)
                assert (await anext(events)).data == message
            await client.send_message(b"\x00" * 100_000)
            await anext(events)

    entries = [entry async for entry in recording.replay(path)]
    for direction in ("in", "out"):
        ours = [entry for entry in entries if entry.direction == direction]
        assert [entry.data for entry in ours[:-2]] == sent
        assert [entry.kind for entry in ours[-2:]] == ["binary", "close"]
        assert ours[-2].data == b"\x00" * 100_000
    assert [entry.time for entry in entries] == sorted(entry.time for entry in entries)
    mode = (await anyio.Path(path).stat()).st_mode
    assert sys.platform == "win32" or stat.S_IMODE(mode) == 0o600


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
async def test_a_full_disk_is_told_and_the_connection_lives(
    log_entries: list[MutableMapping[str, Any]],
) -> None:
    """On a full disk there is one warning, and the client goes on."""
    async with MockServer(json_rpc) as server:
        async with connect(server.url, record_to=FULL, record_unsafe=True) as client:
            for _ in range(50):
                await client.request("ping")

    failed = [e["error"] for e in log_entries if e["event"] == "recording.failed"]
    assert failed == ["[Errno 28] No space left on device"]


async def test_a_disk_that_hangs_holds_nobody_up(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log_entries: list[MutableMapping[str, Any]],
) -> None:
    """
    While the disk hangs messages pass, and the close is bounded; when it comes back, all that
    was held is written, in order.
    """
    path, hang, closed = tmp_path / "session.jsonl", threading.Event(), threading.Event()

    class Hanging:
        def __init__(self, path: Any) -> None:
            self._file: Any = real_open(path)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def write(self, data: memoryview) -> int:
            assert hang.wait(20)
            written: int = self._file.write(data)
            return written

        def close(self) -> None:
            self._file.close()
            closed.set()

    real_open = journal.open_file
    monkeypatch.setattr(journal.Journal.__init__, "__kwdefaults__", {"opener": Hanging})
    async with MockServer(json_rpc) as server:
        async with connect(server.url, record_to=path, close_timeout=0.2) as client:
            for _ in range(50):
                await client.request("ping")
            with anyio.fail_after(5):
                await client.close()
    (failed,) = [e["error"] for e in log_entries if e["event"] == "recording.failed"]
    assert failed == "the disk did not take the rest within 0.2 s"
    hang.set()
    assert await anyio.to_thread.run_sync(closed.wait, 10)

    assert recording.metadata(path).count == 102


async def test_a_restarted_client_appends(tmp_path: Path) -> None:
    """A client that its supervisor starts again appends to its recording."""
    path = tmp_path / "session.jsonl"
    back, heard = anyio.Event(), anyio.Event()

    def on_connect(client: Client) -> None:
        if client.life.generation > 1:
            back.set()

    def handler(event: Any) -> None:
        if event == Message("one"):
            raise ZeroDivisionError
        if event == Message("two"):
            heard.set()

    async with MockServer(lambda _: None) as server:
        spec = ChildSpec(server.url, handler=handler, on_connect=on_connect, record_to=path)
        async with ClientSupervisor([spec]) as fleet:
            await fleet.wait_connected()
            with anyio.fail_after(20):
                await server.inject_message("one")
                await back.wait()
                await server.wait_for_connections(1, timeout=5)
                await server.inject_message("two")
                await heard.wait()

    texts = [entry.data for entry in recording.read(path) if entry.kind == "text"]
    assert texts == ["one", "two"]
    assert path.read_text().count('"kind":"recording"') == 2


@pytest.mark.skipif(os.name != "posix", reason="needs rights to make symbolic links")
@pytest.mark.parametrize("options", [{}, {"record_unsafe": True}], ids=["refused", "taken"])
async def test_a_client_goes_on_without_a_refused_recording(
    tmp_path: Path, log_entries: list[MutableMapping[str, Any]], options: dict[str, Any]
) -> None:
    """A refused file is told in the log, once, and the client works; the option takes it."""
    path, target = tmp_path / "session.jsonl", tmp_path / "target"
    target.touch(mode=0o600)
    path.symlink_to(target)
    async with MockServer(json_rpc) as server:
        async with connect(server.url, record_to=path, **options) as client:
            assert await client.request("ping", [1]) == [1]

    failures = [e["error"] for e in log_entries if e["event"] == "recording.failed"]
    if options:
        assert not failures
        assert len(list(recording.read(path))) >= 2
    else:
        (failure,) = failures
        assert "symbolic link" in failure
        assert not target.read_bytes()
