"""
The public API as its users type it: read by type checkers, never run.

Rule 1: a line here is a promise; a type that changes is a change for users.
"""

from __future__ import annotations

import re
from typing import Any, assert_type

from wsfleet import Explanation, describe, explain
from wsfleet.testing import FaultProxy, MockServer, json_rpc


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
        proxy.cut_after(bytes=100)


def an_error_and_the_api_as_data(error: BaseException) -> None:
    """What is explained and described has plain types."""
    told = explain(error)
    assert_type(told, Explanation)
    assert_type((told.message, told.suggestion, told.recoverable), tuple[str, str, bool])
    assert_type(describe("Client", "send_message"), dict[str, Any])
