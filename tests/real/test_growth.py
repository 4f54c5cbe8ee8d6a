"""What a client holds does not grow with its reconnects, over plain sockets and TLS."""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import Any

import anyio
import pytest

from wsfleet import Client, connect
from wsfleet.errors import SendError
from wsfleet.testing import MockServer, json_rpc

MOST_BY_CHANCE = 240
"""
Objects more or less that may be those of the server, whose thread runs on: a connection that is
left behind has 60 and more.
"""


def held() -> tuple[int, int]:
    """Return how many objects there are of ours, and of all kinds."""
    gc.collect()
    objects = gc.get_objects()
    ours = sum(str(type(o).__module__).startswith("wsfleet._") for o in objects)
    return ours, len(objects)


async def reconnect(server: MockServer, client: Client, way: Any) -> None:
    """Lose a connection in one way, while requests are made, and get another."""
    generation = client.life.generation
    if way == "asked for":
        await client.reconnect()
    else:
        await server.simulate_disconnect(way)
    while client.life.generation == generation:
        with suppress(SendError):
            await client.request("m", [1])
    await client.wait_connected()
    server.clear()


@pytest.mark.parametrize(
    ("way", "tls"),
    [("reset", False), ("going_away", False), ("asked for", True), ("reset", True)],
)
async def test_reconnects_leave_no_objects(way: str, tls: bool) -> None:
    """Eight reconnects more leave no object more, whoever ended the connections, and how."""
    async with MockServer(json_rpc, ssl=tls) as server:
        async with connect(
            server.url,
            ssl_context=server.client_ssl_context,
            retry_delay=0.0,
            retry_count=None,
            inbox_size=2,
        ) as client:
            with anyio.fail_after(60):
                for _ in range(3):
                    await reconnect(server, client, way)
                await server.wait_for_connections(1, timeout=10.0)
                ours, objects = held()
                for _ in range(8):
                    await reconnect(server, client, way)
                await server.wait_for_connections(1, timeout=10.0)
            ours_now, objects_now = held()
            assert ours_now - ours < 8
            assert objects_now - objects < MOST_BY_CHANCE
