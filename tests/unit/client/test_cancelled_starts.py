from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from wsfleet import ClientSupervisor, connect

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.unit.fakes import FakeNetwork
    from wsfleet import Pulse

URL = "ws://fake/"


class Cancels:
    """A heartbeat that cancels what uses its client, in the moment in which that has begun."""

    interval: float | None = None

    def __init__(self, scope: anyio.CancelScope) -> None:
        self._scope = scope

    async def run(self, pulse: Pulse) -> None:
        """Cancel, and beat no more."""
        self._scope.cancel()
        await anyio.sleep_forever()


def crashes(entries: list[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    """Return what was logged of crashes."""
    return [entry for entry in entries if entry["event"] == "client.crashed"]


async def test_a_block_that_is_cancelled_as_it_begins_crashes_no_client(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """A cancellation that was asked for is nobody's mistake, whenever it comes."""
    for _ in range(20):  # the order of the tasks is trio's choice
        with anyio.CancelScope() as scope:
            async with connect(URL, opener=network, heartbeat=Cancels(scope)):
                await anyio.sleep_forever()

    assert crashes(log_entries) == []
    assert network.server().open == []


async def test_a_pool_that_is_cancelled_as_a_client_starts_crashes_none(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """The same holds for the clients of a pool."""
    for _ in range(20):
        with anyio.CancelScope() as scope:
            async with ClientSupervisor(opener=network) as pool:
                await pool.start_client(URL, heartbeat=Cancels(scope))
                await anyio.sleep_forever()

    assert crashes(log_entries) == []
    assert network.server().open == []
