"""Callbacks that take long: in order, and bounded."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio

from wsfleet import Client, connect
from wsfleet._client.callbacks import MOST_WAITING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.unit.fakes import FakeNetwork

URL = "ws://fake/"


async def reconnect(network: FakeNetwork, times: int) -> None:
    """Let the connection be lost and replaced so often."""
    for _ in range(times):
        network.server().link.drop()
        await anyio.sleep(1)


async def test_callbacks_that_hang_add_no_tasks(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """Reconnects while a callback hangs leave one task and a bounded number of calls."""

    async def hang(_: Client) -> None:
        await anyio.sleep_forever()

    async with connect(
        URL,
        opener=network,
        retry_delay=0.0,
        retry_count=None,
        on_connect=hang,
        on_disconnect=hang,
    ) as client:
        await reconnect(network, 2)
        before = len(anyio.get_running_tasks())
        await reconnect(network, 50)
        assert len(anyio.get_running_tasks()) == before
        callbacks = client.life._callbacks
        assert callbacks is not None
        assert len(callbacks._waiting) <= MOST_WAITING
        assert await reaches(client)

    skipped = [e for e in log_entries if e["event"] == "client.callback_skipped"]
    assert len(skipped) >= 2 * 50 - MOST_WAITING
    assert all("hang" in entry["callback"] for entry in skipped)


async def reaches(client: Client) -> bool:
    """Return whether a client is connected."""
    await client.wait_connected()
    return client.get_state() == "connected"


async def test_the_order_of_callbacks_is_kept(network: FakeNetwork) -> None:
    """
    Whatever was left out, a connection gained is followed by its loss, and the last call tells
    of the present connection.
    """
    told: list[str] = []
    gate = anyio.Event()

    async def up(_: Client) -> None:
        told.append("up")
        await gate.wait()

    async def down(_: Client) -> None:
        told.append("down")

    async with connect(
        URL,
        opener=network,
        retry_delay=0.0,
        retry_count=None,
        on_connect=up,
        on_disconnect=down,
    ):
        await reconnect(network, 50)
        assert told == ["up"]
        gate.set()
        await anyio.sleep(1)
        assert all(first != second for first, second in pairwise(told))
        assert told[-1] == "up"
        assert MOST_WAITING - 1 <= len(told) <= MOST_WAITING + 1
        await reconnect(network, 1)
        assert told[-2:] == ["down", "up"]
