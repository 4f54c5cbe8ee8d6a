"""
Fixtures for pytest: put `pytest_plugins = ["wsfleet.testing.plugin"]` into your `conftest.py`.

The servers are async fixtures and need anyio's pytest plugin, which comes with anyio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .deribit import MockDeribit
from .proxy import FaultProxy
from .server import MockServer
from .virtual_time import virtual_backends

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any


@pytest.fixture
async def mock_server(
    anyio_backend: object,  # noqa: ARG001  says to anyio that the fixture is its to run
) -> AsyncIterator[MockServer]:
    """A server that echoes, for this test alone."""
    async with MockServer() as server:
        yield server


@pytest.fixture
async def mock_deribit(
    anyio_backend: object,  # noqa: ARG001  says to anyio that the fixture is its to run
) -> AsyncIterator[MockDeribit]:
    """A venue with its own limits and times, for this test alone."""
    async with MockDeribit() as server:
        yield server


@pytest.fixture
async def fault_proxy(
    anyio_backend: object,  # noqa: ARG001  says to anyio that the fixture is its to run
    mock_server: MockServer,
) -> AsyncIterator[FaultProxy]:
    """A proxy in front of `mock_server`, without faults until you set one."""
    async with FaultProxy(mock_server.url) as proxy:
        yield proxy


@pytest.fixture(params=sorted(virtual_backends()))
def virtual_time_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """
    A value for `anyio_backend`: asyncio and, where it is installed, trio in virtual time.

    Let a fixture `anyio_backend` of your own return it, in the module or folder whose tests are
    to run so.
    """
    return virtual_backends()[request.param]
