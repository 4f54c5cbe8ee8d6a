from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.fakes import FakeNetwork
from wsfleet import connect

URL = "ws://fake/"


@pytest.mark.parametrize("decode", ["json", "raw", json.loads])
async def test_requests_work_on_each_connection(decode: Any) -> None:
    """After a loss responses find their requests as before, however text is decoded."""
    network = FakeNetwork()
    network.server().answer = lambda request: request["method"]
    async with connect(URL, opener=network, decode=decode) as client:
        for _ in range(3):
            assert await client.request("m") == "m"
            network.server().link.drop()
            await client.reconnect()
