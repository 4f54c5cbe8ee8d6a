from __future__ import annotations

from typing import Any

import pytest

from wsfleet.testing.virtual_time import virtual_backends


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run a rule in virtual time, on asyncio and on trio."""
    return virtual_backends()[request.param]
