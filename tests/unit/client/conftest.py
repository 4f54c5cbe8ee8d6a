"""What the tests of clients share."""

from __future__ import annotations

import pytest

from tests.unit.fakes import FakeNetwork
from tests.unit.venue import FakeVenue


@pytest.fixture
def network() -> FakeNetwork:
    """Return a network without servers."""
    return FakeNetwork()


@pytest.fixture
def venue(network: FakeNetwork) -> FakeVenue:
    """Return the venue at the URL of the tests."""
    return FakeVenue(network)
