from __future__ import annotations

import pytest

from tests.conftest import needs_uvloop

from .storm import Plan, run_storm


@pytest.mark.timeout(180)  # a few seconds, unless the machine is very busy
@pytest.mark.parametrize(
    ("loop", "seed"),
    [
        ("asyncio", 11),
        pytest.param("uvloop", 12, marks=needs_uvloop),
        ("trio", 13),
    ],
)
def test_every_request_is_accounted_for_while_everything_fails(loop: str, seed: int) -> None:
    """
    Whatever servers and networks do, each request ends in one known way and in time, nothing is
    done twice or left behind, and the fleet is whole again soon.
    """
    report = run_storm(Plan(seed, 1000, loop, pace=0.2))

    assert report.violations == []
    assert len(report.outcomes) == 1000
    assert sum(report.faults.values()) > 10
