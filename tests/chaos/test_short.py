from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import needs_uvloop
from wsfleet import ClientSupervisor

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


def test_a_run_over_a_library_that_repeats_messages_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A whole run finds a broken promise, and not only the functions that look for one."""
    send = ClientSupervisor.send_balanced

    async def send_twice(self: ClientSupervisor, message: Any, **options: Any) -> Any:
        await send(self, message, **options)
        return await send(self, message, **options)

    monkeypatch.setattr(ClientSupervisor, "send_balanced", send_twice)

    report = run_storm(Plan(14, 200, "asyncio"))

    assert "nothing_twice" in {violation.rule for violation in report.violations}
