"""What `pool_health` says of each client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .child import Child


@dataclass(frozen=True, slots=True)
class PoolHealth:
    """
    One client of a pool.

    Attributes:
        name: the client's.
        url: its endpoint, without secrets.
        state: "connecting", "connected" or "disconnected".
        health: 0-100; 0 while it is not connected.
        pending: requests that await a response.
        p99: seconds, the 99th percentile of its latest round trips, or None before the first.
        errors: requests without an answer, and connections lost, since it was made.
        restarts: how often the supervisor started it again.
    """

    name: str
    url: str
    state: str
    health: float
    pending: int
    p99: float | None
    errors: int
    restarts: int


def row_of(child: Child) -> PoolHealth:
    """Return a child's row."""
    client = child.client
    state = client.get_state()
    latency = client.get_latency_stats()
    return PoolHealth(
        name=client.name,
        url=client.url,
        state=str(state),
        health=round(client.get_health(), 1) if state == "connected" else 0.0,
        pending=client.pending,
        p99=None if latency is None else latency.p99,
        errors=client.errors,
        restarts=child.restarts,
    )
