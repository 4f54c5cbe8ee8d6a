"""
The venue's limits: each request costs credits, which flow back with time.

See https://docs.deribit.com/articles/rate-limits
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from .rpc import RpcError

_SUBSCRIBING: Final = frozenset({"public/subscribe", "private/subscribe"})
_ORDERING: Final = frozenset(
    {"private/buy", "private/sell", "private/edit", "private/cancel", "private/cancel_all"}
)


@dataclass(frozen=True, slots=True)
class Credits:
    """
    One pool of credits, full at first.

    Args:
        cost: what each request takes.
        pool: what the pool holds at most; `pool / cost` requests may come at once.
        refill: what flows back per second; `refill / cost` requests per second may go on.
    """

    cost: float
    pool: float
    refill: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeribitLimits:
    """
    The limits of one account, over all its connections; the venue's own by default.

    Args:
        requests: for all that is not named below; None for no limit.
        subscribe: for `public/subscribe` and `private/subscribe`; None for no limit.
        orders: for what goes to the matching engine; None for no limit.
        closes: whether the connection is closed after the error 10028, as the venue documents.
    """

    requests: Credits | None = Credits(cost=500, pool=50_000, refill=10_000)
    subscribe: Credits | None = Credits(cost=3_000, pool=30_000, refill=10_000)
    orders: Credits | None = Credits(cost=1, pool=20, refill=5)
    closes: bool = True

    def __post_init__(self) -> None:
        if any(each and each.cost > each.pool for each in self.pools.values()):
            raise ValueError("a pool of credits must hold what a request costs")

    @property
    def pools(self) -> dict[str, Credits | None]:
        """The pools by name."""
        return {"requests": self.requests, "subscribe": self.subscribe, "orders": self.orders}


@dataclass(slots=True)
class _Level:
    left: float
    at: float


@dataclass(slots=True)
class Account:
    """What is left of one account's credits."""

    limits: DeribitLimits | None
    _levels: dict[str, _Level] = field(default_factory=dict)

    def charge(self, method: str) -> None:
        """
        Take what a request costs.

        Raises:
            RpcError: too little is left; nothing was taken.
        """
        if self.limits is None:
            return
        name = _pool_of(method)
        pool = self.limits.pools[name]
        if pool is not None and not self._take(name, pool):
            raise RpcError(10028, "too_many_requests", closes=self.limits.closes)

    def _take(self, name: str, pool: Credits) -> bool:
        now = time.monotonic()
        level = self._levels.setdefault(name, _Level(pool.pool, now))
        level.left = min(pool.pool, level.left + (now - level.at) * pool.refill)
        level.at = now
        if level.left < pool.cost:
            return False
        level.left -= pool.cost
        return True


def _pool_of(method: str) -> str:
    if method in _SUBSCRIBING:
        return "subscribe"
    return "orders" if method in _ORDERING else "requests"
