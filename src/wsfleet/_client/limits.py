"""
Limiters: how much may be sent, and when.

Venues count in one of two ways, and a bucket passes more than a window of the same rate would:
what it saved up, and on top of it what flows in meanwhile.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from wsfleet.errors import ConfigError

from .ledgers import BucketLedger, WindowLedger
from .line import Line

if TYPE_CHECKING:
    from collections.abc import Callable

    from .line import LimiterStatus


@runtime_checkable
class Limiter(Protocol):
    """
    What decides when a message may go out; `TokenBucket` and `SlidingWindow` are two.

    One may be shared by any number of clients of one event loop.
    """

    @property
    def counts_control(self) -> bool:
        """Whether the pings and pongs that a client sends are to be counted too."""

    async def acquire(self, message: Any, timeout: float | None = None) -> None:
        """
        Wait until the message may pass.

        Args:
            message: what is to be sent, as the caller gave it.
            timeout: seconds to wait at most; 0.0 does not wait, None waits as long as it takes.

        Raises:
            RateLimitedError: it cannot pass in time, or could not; at once where that can be
                foreseen.

        Cancelling it takes nothing.
        """

    def acquire_nowait(self, message: Any) -> None:
        """
        Let the message pass now.

        Args:
            message: what is to be sent, as the caller gave it.

        Raises:
            RateLimitedError: it may not pass now.
        """

    def spend(self, cost: float = 1.0) -> None:
        """
        Count what was sent without asking: a ping, or what another program sent.

        Args:
            cost: what it counts for.
        """

    def status(self) -> LimiterStatus:
        """Return how it does."""


class TokenBucket(Line):
    """
    A limiter that lets bursts pass and holds the rate on average.

    It holds `capacity` tokens at most, is full at first, and is refilled without a pause. In
    any t seconds at most `capacity + refill_rate * t` pass.

    Args:
        capacity: tokens that it holds, which is the largest burst.
        refill_rate: tokens per second.
        cost: tokens that a message costs, from 0 to `capacity`; each costs 1 without it. It is
            given the message as the caller gave it: str, bytes or a mapping.
        counts_control: whether each ping and pong that a client sends costs a token, too.

    Raises:
        ConfigError: a number that can never work.
    """

    def __init__(
        self,
        capacity: float,
        refill_rate: float,
        cost: Callable[[Any], float] | None = None,
        *,
        counts_control: bool = False,
    ) -> None:
        _check("capacity", capacity, least=1.0 if cost is None else 0.0)
        _check("refill_rate", refill_rate)
        super().__init__(
            BucketLedger(capacity, refill_rate),
            cost,
            counts_control=counts_control,
            shown=f"TokenBucket(capacity={capacity!r}, refill_rate={refill_rate!r})",
        )


class SlidingWindow(Line):
    """
    A limiter that holds a limit strictly: in no window of `seconds`, wherever it begins, more
    than `limit` pass, by the clock of the event loop.

    Args:
        limit: what may pass in each window.
        seconds: its length.
        cost: what a message counts for, from 0 to `limit`; each counts for 1 without it. It is
            given the message as the caller gave it: str, bytes or a mapping.
        counts_control: whether each ping and pong that a client sends counts for 1, too.

    Raises:
        ConfigError: a number that can never work.
    """

    def __init__(
        self,
        limit: float,
        seconds: float,
        cost: Callable[[Any], float] | None = None,
        *,
        counts_control: bool = False,
    ) -> None:
        _check("limit", limit, least=1.0 if cost is None else 0.0)
        _check("seconds", seconds)
        super().__init__(
            WindowLedger(limit, seconds),
            cost,
            counts_control=counts_control,
            shown=f"SlidingWindow(limit={limit!r}, seconds={seconds!r})",
        )


def _check(option: str, value: object, *, least: float = 0.0) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(option, f"must be a number, not {value!r}")
    if not 0 < value <= sys.float_info.max or value < least:
        bound = f"{least:g} or more" if least else "more than 0"
        raise ConfigError(option, f"must be {bound}, and finite, not {value!r}")
