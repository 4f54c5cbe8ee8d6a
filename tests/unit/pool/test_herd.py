"""Hundreds of clients that lose one endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from tests.unit.pool.fleet import A
from wsfleet import ChildSpec, ClientSupervisor, SlidingWindow, TokenBucket
from wsfleet.errors import HandshakeRejectedError

if TYPE_CHECKING:
    from tests.unit.fakes import FakeNetwork
    from wsfleet import Limiter

CLIENTS = 300
EACH_SECOND = 30


def busiest(attempts: list[float], seconds: float) -> int:
    """Return how many attempts came at most within any window of this length."""
    attempts = sorted(attempts)
    most = first = 0
    for last, at in enumerate(attempts):
        while at - attempts[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.parametrize(
    ("limiter", "most"),
    [
        (SlidingWindow(EACH_SECOND, 1.0), EACH_SECOND),
        (TokenBucket(5, EACH_SECOND), EACH_SECOND + 5),
    ],
    ids=repr,
)
async def test_a_fleet_that_lost_its_server_stays_within_its_budget_and_is_back_in_time(
    network: FakeNetwork, limiter: Limiter, most: int
) -> None:
    """
    While the server is away and when it is back, attempts stay within `connect_limiter`, and
    all 300 clients are connected again within 20 seconds of its return.
    """
    server = network.server(A)
    specs = [
        ChildSpec(A, connect_limiter=limiter, retry_count=None, max_backoff=5.0)
        for _ in range(CLIENTS)
    ]
    async with ClientSupervisor(specs, opener=network) as supervisor:
        await supervisor.wait_connected(CLIENTS)
        server.attempts.clear()
        server.die()
        await anyio.sleep(10)
        server.down = False
        with anyio.fail_after(20):
            await supervisor.wait_connected(CLIENTS)

    assert busiest(server.attempts, 0.999) <= most
    assert len(server.attempts) > CLIENTS


async def test_a_fleet_that_was_told_retry_after_does_not_return_in_one_instant(
    network: FakeNetwork,
) -> None:
    """
    300 clients that are refused with `Retry-After: 2` all wait that long, and then come spread
    over at least 0.2 seconds, however short their own waits are.
    """
    server = network.server(A)
    specs = [ChildSpec(A, retry_delay=0.0) for _ in range(CLIENTS)]
    server.refuse(*(HandshakeRejectedError(A, "busy", 503, 2.0) for _ in range(CLIENTS)))
    async with ClientSupervisor(specs, opener=network) as supervisor:
        with anyio.fail_after(2.5):
            await supervisor.wait_connected(CLIENTS)

    refused, accepted = server.attempts[:CLIENTS], server.attempts[CLIENTS:]
    assert len(accepted) == CLIENTS
    assert min(accepted) >= max(refused) + 2.0
    assert busiest(accepted, 0.02) < CLIENTS / 4
