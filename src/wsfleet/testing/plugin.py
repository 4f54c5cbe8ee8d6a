"""
Fixtures for pytest: put `pytest_plugins = ["wsfleet.testing.plugin"]` into your `conftest.py`.

They are async fixtures and need anyio's pytest plugin, which comes with anyio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .proxy import FaultProxy
from .server import MockServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def mock_server(
    anyio_backend: object,  # noqa: ARG001  says to anyio that the fixture is its to run
) -> AsyncIterator[MockServer]:
    """A server that echoes, for this test alone."""
    async with MockServer() as server:
        yield server


@pytest.fixture
async def fault_proxy(
    anyio_backend: object,  # noqa: ARG001  says to anyio that the fixture is its to run
    mock_server: MockServer,
) -> AsyncIterator[FaultProxy]:
    """A proxy in front of `mock_server`, without faults until you set one."""
    async with FaultProxy(mock_server.url) as proxy:
        yield proxy
