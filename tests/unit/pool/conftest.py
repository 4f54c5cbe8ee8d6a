"""What the tests of pools share."""

from __future__ import annotations

import pytest

from tests.unit.fakes import FakeNetwork
from tests.unit.pool.fleet import A, B, C


@pytest.fixture
def network() -> FakeNetwork:
    """Return three servers that answer each request with their URL."""
    network = FakeNetwork()
    for url in (A, B, C):
        network.server(url).answer = lambda _, url=url: url
    return network
