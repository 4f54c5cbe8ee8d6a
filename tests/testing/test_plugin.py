from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio

import wsfleet
from wsfleet import connect

if TYPE_CHECKING:
    import pytest

    from wsfleet.testing import FaultProxy, MockDeribit, MockServer

pytest_plugins = ["wsfleet.testing.plugin", "pytester"]

SUITE = """
import anyio
import pytest
from wsfleet import connect

@pytest.mark.anyio
async def test_server(mock_server):
    async with connect(mock_server.url) as client:
        await client.send_message("hello")
        await mock_server.assert_message_sent("hello")

def test_without_async(mock_server):
    assert mock_server.url.startswith("ws://")

class TestInVirtualTime:
    @pytest.fixture
    def anyio_backend(self, virtual_time_backend):
        return virtual_time_backend

    @pytest.mark.anyio
    async def test_hours(self):
        began = anyio.current_time()
        await anyio.sleep(3600)
        assert anyio.current_time() - began == pytest.approx(3600)
"""


async def test_the_fixtures_are_a_server_and_a_proxy_in_front_of_it(
    mock_server: MockServer, fault_proxy: FaultProxy
) -> None:
    """Tests get a running server and a proxy that leads to it by naming them."""
    port = int(fault_proxy.url.rpartition(":")[2])
    async with await anyio.connect_tcp("127.0.0.1", port) as tcp:
        await tcp.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await tcp.receive()).startswith(b"HTTP/1.1 ")
    assert mock_server.url != fault_proxy.url


async def test_the_fixture_of_a_venue(mock_deribit: MockDeribit) -> None:
    """Tests get a running venue by naming it."""
    async with connect(mock_deribit.url) as client:
        assert await client.request("public/test") == {"version": "1.2.26"}


def test_a_users_suite_needs_one_line_in_its_conftest(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    With the plugin named in conftest.py a suite runs on asyncio and trio, in virtual time too.
    """
    monkeypatch.setenv("PYTHONPATH", str(Path(wsfleet.__file__).parent.parent))
    pytester.makeconftest('pytest_plugins = ["wsfleet.testing.plugin"]')
    pytester.makepyfile(SUITE)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=6)
