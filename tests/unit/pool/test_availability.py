"""One definition of "connected": a message can be handed over now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from tests.unit.pool.fleet import A
from wsfleet import ChildSpec, ClientSupervisor
from wsfleet.errors import NoConnectionsError, NotConnectedError

if TYPE_CHECKING:
    from tests.unit.fakes import FakeNetwork


@pytest.mark.parametrize("how", ["drop", "close", "closing"])
async def test_all_agree_before_the_clients_task_has_run(
    network: FakeNetwork, how: str
) -> None:
    """
    A connection that has just ended is connected for nobody, in the very step in which it
    ended: no loop of "wait until connected, send" can turn without a pause.
    """
    async with ClientSupervisor(
        [ChildSpec(A, name="a", retry_delay=1.0)], opener=network
    ) as pool:
        client = pool.list_clients()[0]
        link = network.server(A).link
        if how == "closing":  # the socket is being closed, and has told nobody yet
            link.closing = True
        else:
            getattr(link, how)()

        assert client.get_state() == "disconnected"
        assert [row.state for row in pool.pool_health()] == ["disconnected"]
        assert "0/1 connected" in repr(pool)
        with pytest.raises(NotConnectedError):
            client.send_nowait("m")
        if how == "closing":
            with anyio.move_on_after(0.5):
                await client.wait_connected()
                pytest.fail("connected over a socket that is being closed")
            link.closing = False
            link.drop()
        with anyio.move_on_after(0):
            await client.wait_connected()
            pytest.fail("connected again in no time")
        with anyio.move_on_after(0):
            await pool.wait_connected()
            pytest.fail("connected again in no time")
        with pytest.raises(NoConnectionsError):
            await pool.send_balanced("m")
        await pool.wait_connected()
        assert client.get_state() == "connected"
        await client.wait_connected()
        await client.send_message("m")


async def test_the_natural_loop_ends(network: FakeNetwork) -> None:
    """Waiting for the connection and sending again, on each loss, gets through."""
    async with ClientSupervisor(
        [ChildSpec(A, name="a", retry_count=None)], opener=network
    ) as pool:
        client = pool.list_clients()[0]
        lost = 0
        for _ in range(20):
            network.server(A).link.close(1012)
            while True:
                await client.wait_connected()
                try:
                    assert await client.request("m") == A
                    break
                except NotConnectedError:
                    lost += 1
            assert lost < 40
