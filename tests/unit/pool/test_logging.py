from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.pool.fleet import A, B, C, explode
from wsfleet import ChildSpec, ClientSupervisor, PingPong
from wsfleet.errors import ConnectRefusedError, NoConnectionsError, RestartLimitError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.unit.fakes import FakeNetwork

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "events.md"
OF_CLIENTS = {"client", "url", "generation"}


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """Return the levels and the keys of each event, as its page has them."""
    events = {}
    for name, level, keys in re.findall(
        r"^\| `([\w.]+)` \| (.+?) \| (.*?) ?\|", PAGE.read_text(), re.MULTILINE
    ):
        common = OF_CLIENTS if name.startswith(("client.", "heartbeat.")) else set()
        levels = set(re.findall(r"\b(?:debug|info|warning|error)\b", level))
        events[name] = (levels, common | set(re.findall(r"`(\w+)`", keys)))
    return events


async def fail_over(pool: ClientSupervisor, network: FakeNetwork) -> None:
    """Lose the connection over which a request waits to be sent."""
    for url in (B, C):
        network.server(url).link.fill()
    clients = [client for client in pool.list_clients() if client.name in "bc"]
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            await pool.request_balanced("m", client_discovery=lambda: clients)

        tasks.start_soon(ask)
        await anyio.sleep(1)
        first, second = (B, C) if clients[0].pending else (C, B)
        network.server(second).link.drain()
        network.server(first).link.drop()
        await anyio.sleep(5)


async def leave_events(pool: ClientSupervisor, network: FakeNetwork) -> None:
    """Stop clients with more events than a slow iteration can be kept."""
    stream = aiter(pool)
    for url in ("ws://d/", "ws://e/", "ws://f/"):
        client = await pool.start_client(url, inbox_size=1, overflow="drop_oldest")
        network.server(url).link.send("unheard")
        await pool.stop_client(client)
    del stream


async def test_events_have_the_level_and_keys_of_their_page(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """Whatever happens to a pool, its events carry exactly what the events page says."""

    def raises(_: Any) -> None:
        raise LookupError

    async def hang(_: Any) -> None:
        await anyio.sleep_forever()

    specs = [
        ChildSpec(A, name="a", handler=explode, heartbeat=PingPong(interval=50.0, timeout=5.0)),
        ChildSpec(B, name="b", on_connect=raises),
        ChildSpec("ws://g/", name="g", on_connect=hang, retry_count=None, retry_delay=0.0),
        ChildSpec(C, name="c", retry_count=0, debug=True),
    ]

    with pytest.raises(RestartLimitError):
        async with ClientSupervisor(specs, max_restarts=1, opener=network) as pool:
            with pytest.raises(NoConnectionsError):
                await pool.send_balanced("m", client_discovery=list)
            await fail_over(pool, network)
            await leave_events(pool, network)
            for _ in range(20):
                network.server("ws://g/").link.drop()
                await anyio.sleep(1)
            network.server(C).refuse(ConnectRefusedError(C, "once"))
            network.server(C).link.drop()
            network.server(A).silent = True
            await anyio.sleep(60)
            network.server(A).silent = False
            while True:
                network.server(A).link.send("boom")
                await anyio.sleep(5)

    page = documented()
    for entry in log_entries:
        levels, keys = page[entry["event"]]
        assert entry["log_level"] in levels, entry
        assert entry.keys() - {"event", "log_level"} == keys, entry
    ours = ("client.", "supervisor.", "pool.", "heartbeat.")
    happened = {entry["event"] for entry in log_entries}
    assert {name for name in page if name.startswith(ours)} == happened
