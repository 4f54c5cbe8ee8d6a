from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.fakes import FakeNetwork
from wsfleet import connect, recording
from wsfleet._client import recorder
from wsfleet._wire.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from pathlib import Path

URL = "ws://fake/?key=s3cret"


@pytest.fixture
def network() -> FakeNetwork:
    """Return a network with one server that answers each request with its method."""
    network = FakeNetwork()
    network.server(URL).answer = lambda request: request.get("method")
    return network


def messages(entries: list[MutableMapping[str, Any]]) -> list[tuple[str, str, int]]:
    """Return the direction, kind and size of each message that was logged."""
    return [
        (entry["direction"], entry["kind"], entry["size"])
        for entry in entries
        if entry["event"] == "client.message"
    ]


async def test_each_message_is_logged_without_what_is_in_it(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """With debug=True the log says whose each message is, its direction, kind and size."""
    async with connect(URL, name="bot", opener=network, debug=True) as client:
        await client.send_message("tökens")
        client.send_nowait(b"\x00\x01")
        network.server(URL).link.send("payload")
        network.server(URL).link.send(b"\x00")

    assert messages(log_entries) == [
        ("out", "text", 7),
        ("out", "binary", 2),
        ("in", "text", 7),
        ("in", "binary", 1),
        ("out", "close", 2),
        ("in", "close", 2),
    ]
    entry = next(entry for entry in log_entries if entry["event"] == "client.message")
    assert entry == {
        "event": "client.message",
        "log_level": "debug",
        "client": "bot",
        "url": "ws://fake/?key=***",
        "generation": 1,
        "direction": "out",
        "kind": "text",
        "size": 7,
    }
    assert not {"tökens", "payload"} & {str(value) for e in log_entries for value in e.values()}


async def test_the_log_goes_on_after_a_reconnect(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """Messages of each connection are logged, with the connection's number."""
    async with connect(URL, opener=network, debug=True) as client:
        await client.request("one")
        await client.reconnect()
        await client.request("two")

    texts = [entry for entry in log_entries if entry.get("kind") == "text"]
    assert [entry["generation"] for entry in texts] == [1, 1, 2, 2]


async def test_messages_are_logged_and_recorded(
    network: FakeNetwork,
    log_entries: list[MutableMapping[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Options debug and record_to may be on together: each learns of all that passes."""

    async def at_once(function: Callable[..., object], *args: object) -> None:
        await anyio.lowlevel.checkpoint()
        function(*args)

    monkeypatch.setattr(recorder, "_in_thread", at_once)  # virtual time waits for no thread
    path = tmp_path / "session.jsonl"
    async with connect(URL, opener=network, debug=True, record_to=path) as client:
        await client.request("add")

    recorded = [(entry.direction, entry.kind) for entry in recording.read(path)]
    assert recorded == [
        ("out", "text"),
        ("in", "text"),
        ("out", "close"),
        ("in", "close"),
    ]
    assert [(direction, kind) for direction, kind, _ in messages(log_entries)] == recorded


async def test_without_debug_nothing_is_logged_and_nothing_paid(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """By default messages are not logged, and connections are not even told of a log."""
    async with connect(URL, opener=network) as client:
        await client.request("add")
        assert type(client.life.connection) is Connection

    assert messages(log_entries) == []
