"""
The public API as its users type it: read by type checkers, never run.

Rule 1: a line here is a promise; a type that changes is a change for users.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, assert_type

from wsfleet import Explanation, describe, explain
from wsfleet.testing import (
    Credits,
    DeribitLimits,
    FaultProxy,
    MockDeribit,
    MockServer,
    MockSession,
    json_rpc,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


async def a_server_in_a_test() -> None:
    """The testing kit needs no casts."""
    async with MockServer(json_rpc, ssl=True) as server, FaultProxy(server.url) as proxy:
        assert_type(server.url, str)
        assert_type(server.received, list[str | bytes])
        assert_type(await server.assert_message_sent(re.compile("ping")), str | bytes)
        await server.inject_message({"type": "hello"})
        await server.simulate_disconnect("reset")
        await server.simulate_disconnect(1008)
        proxy.latency = 0.2
        await proxy.freeze("to_client")
        proxy.to_server.latency = 0.1
        proxy.cut_after(bytes=100)


class Remembers(MockSession):
    """A session's answers are what a handler's are."""

    def on_message(self, message: str | bytes) -> list[str | bytes | Mapping[str, Any]]:
        self.connection.send({"type": "hello"})
        self.connection.close(1008)
        return [message, {"type": "bye"}]


async def a_venue_in_a_test() -> None:
    """The mock venue needs no casts."""
    limits = DeribitLimits(requests=Credits(cost=1, pool=5, refill=1), subscribe=None)
    async with MockServer(session=Remembers), MockDeribit(limits=limits) as server:
        assert_type(await server.publish("ticker.BTC-PERPETUAL.100ms", {"last_price": 1}), int)
        assert_type(server.sessions[0].channels, frozenset[str])
        assert_type(server.orders[0].price, float | None)
        await server.wait_until(lambda: server.sessions)


def an_error_and_the_api_as_data(error: BaseException) -> None:
    """What is explained and described has plain types."""
    told = explain(error)
    assert_type(told, Explanation)
    assert_type((told.message, told.suggestion, told.recoverable), tuple[str, str, bool])
    assert_type(describe("Client", "send_message"), dict[str, Any])
