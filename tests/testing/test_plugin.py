from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from wsfleet.testing import FaultProxy, MockServer

pytest_plugins = ["wsfleet.testing.plugin"]


async def test_the_fixtures_are_a_server_and_a_proxy_in_front_of_it(
    mock_server: MockServer, fault_proxy: FaultProxy
) -> None:
    """Tests get a running server and a proxy that leads to it by naming them."""
    port = int(fault_proxy.url.rpartition(":")[2])
    async with await anyio.connect_tcp("127.0.0.1", port) as tcp:
        await tcp.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await tcp.receive()).startswith(b"HTTP/1.1 ")
    assert mock_server.url != fault_proxy.url
