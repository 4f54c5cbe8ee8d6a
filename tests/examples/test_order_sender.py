from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from examples.order_sender import main, place
from tests.examples.told import Told
from wsfleet import ChildSpec, ClientSupervisor, venues
from wsfleet.testing import FaultProxy, MockDeribit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wsfleet.testing import MockOrder


class TwoWays:
    """A venue, and two ways to it that a test can break one by one."""

    def __init__(self, venue: MockDeribit, one: FaultProxy, two: FaultProxy) -> None:
        self.venue = venue
        self.one = one
        self.two = two
        self.lost = Told()

    @property
    def urls(self) -> list[str]:
        return [self.one.url, self.two.url]

    @property
    def orders(self) -> list[MockOrder]:
        return self.venue.orders

    def specs(self) -> list[ChildSpec]:
        """Return the children of a fleet that uses both."""
        profile = venues.deribit(
            client_id=self.venue.client_id, client_secret=self.venue.client_secret
        )
        return [
            ChildSpec(url, venue=profile, on_disconnect=lambda client: self.lost(client.name))
            for url in self.urls
        ]


@pytest.fixture
async def ways(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TwoWays]:
    """Return a venue whose API key is in the environment."""
    async with (
        MockDeribit() as venue,
        FaultProxy(venue.url) as one,
        FaultProxy(venue.url) as two,
    ):
        monkeypatch.setenv("DERIBIT_CLIENT_ID", venue.client_id)
        monkeypatch.setenv("DERIBIT_CLIENT_SECRET", venue.client_secret)
        yield TwoWays(venue, one, two)


async def test_an_order_is_placed_once(ways: TwoWays) -> None:
    """The program places one order and tells its id."""
    told = Told()
    await main(*ways.urls, tell=told)

    (order,) = ways.orders
    assert told.lines == [f"placed: {order.order_id}"]


async def test_an_order_whose_answer_was_lost_is_not_repeated(ways: TwoWays) -> None:
    """
    When the connection is reset after the order was written, the caller is told that nobody
    knows, finds the order at the venue, and it is there once.
    """
    told = Told()
    async with ClientSupervisor(ways.specs()) as fleet:
        await fleet.wait_connected(2)
        both = (ways.one, ways.two)
        for way in both:
            await way.freeze("to_client")

        async def cut() -> None:
            await ways.venue.wait_until(lambda: ways.orders, timeout=5)
            for way, client in zip(both, fleet.list_clients(), strict=True):
                if client.pending:
                    await way.reset()
                await way.thaw("to_client")  # the other one is fit to be failed over to

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cut)
            placed = await place(fleet, "BTC-PERPETUAL", amount=10, price=1.0, tell=told)

    (order,) = ways.orders
    assert placed is not None
    assert placed["order_id"] == order.order_id
    assert told.lines[0].startswith("sent=None")
    assert told.lines[-1] == f"placed after all: {order.order_id}"


async def test_a_server_that_died_before_is_passed_over(ways: TwoWays) -> None:
    """With one of two servers dead before the order, it is placed once, through the other."""
    told = Told()
    async with ClientSupervisor(ways.specs()) as fleet:
        await fleet.wait_connected(2)
        await ways.one.stop()
        await ways.lost.until(lambda: len(ways.lost.lines) == 1)
        await place(fleet, "BTC-PERPETUAL", amount=10, price=1.0, tell=told)
        assert ways.two.connections == 1

    (order,) = ways.orders
    assert told.lines == [f"placed: {order.order_id}"]


async def test_a_server_that_never_lived_is_passed_over(ways: TwoWays) -> None:
    """One of two servers being down from the start does not keep the program from its order."""
    told = Told()
    await ways.one.stop()
    await main(*ways.urls, tell=told)

    (order,) = ways.orders
    assert told.lines == [f"placed: {order.order_id}"]


async def test_without_a_server_nothing_is_placed(ways: TwoWays) -> None:
    """With both servers dead the program says that it placed nothing."""
    told = Told()
    async with ClientSupervisor(ways.specs()) as fleet:
        await fleet.wait_connected(2)
        for way in (ways.one, ways.two):
            await way.stop()
        await ways.lost.until(lambda: len(ways.lost.lines) == 2)
        assert await place(fleet, "BTC-PERPETUAL", amount=10, price=1.0, tell=told) is None

    assert ways.orders == []
    assert told.lines[0].startswith("not placed")
