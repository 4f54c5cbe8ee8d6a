from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from wsfleet import ChildSpec, ClientSupervisor
from wsfleet.testing import MockServer

if TYPE_CHECKING:
    from collections.abc import MutableMapping


async def test_a_fleet_sits_out_an_outage_of_its_network(
    log_entries: list[MutableMapping[str, Any]],
) -> None:
    """
    Clients of two hosts that are lost at once wait for the network without using up their
    retries, and are all back soon after it.
    """
    async with MockServer() as one, MockServer() as other:
        urls = (one.url, other.url.replace("127.0.0.1", "localhost"))
        specs = [
            ChildSpec(url, retry_count=1, retry_delay=0.02, restart="temporary")
            for url in urls * 4
        ]
        async with ClientSupervisor(specs) as supervisor:
            await supervisor.wait_connected(8)
            await one.stop()
            await other.stop()
            await anyio.sleep(0.5)
            assert len(supervisor.list_clients()) == 8
            await one.start()
            await other.start()
            with anyio.fail_after(20):
                await supervisor.wait_connected(8)

    logged = [e["event"] for e in log_entries if e["event"].startswith("fleet.")]
    assert logged == ["fleet.offline", "fleet.online"]
