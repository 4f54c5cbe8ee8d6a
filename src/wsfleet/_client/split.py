"""One limiter made of several: each kind of message has a budget of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsfleet.errors import ConfigError

from .fairness import yields_before_raising
from .limits import Limiter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .line import LimiterStatus


class SplitLimiter:
    """
    A limiter that asks another one for each kind of message.

    Args:
        limiters: the limiter of each kind.
        kind: names a message's kind; given the message as the caller gave it.
        default: the kind of a message whose kind `limiters` does not have, and that of what is
            counted without asking.

    Raises:
        ConfigError: `limiters` has no `default`, or something in it is no limiter.
    """

    def __init__(
        self,
        limiters: Mapping[str, Limiter],
        kind: Callable[[Any], str],
        *,
        default: str,
    ) -> None:
        if default not in limiters:
            raise ConfigError("default", f"must be one of the limiters, not {default!r}")
        if not all(isinstance(limiter, Limiter) for limiter in limiters.values()):
            raise ConfigError("limiters", "must be limiters such as TokenBucket")
        self.limiters: dict[str, Limiter] = dict(limiters)
        self._kind = kind
        self._default = self.limiters[default]

    def __repr__(self) -> str:
        return f"SplitLimiter({self.limiters!r})"

    @property
    def counts_control(self) -> bool:
        """Whether the default limiter counts pings and pongs."""
        return self._default.counts_control

    @yields_before_raising
    async def acquire(self, message: Any, timeout: float | None = None) -> None:
        """
        Wait until the message may pass the limiter of its kind.

        Args:
            message: given to `kind`, and to that limiter.
            timeout: seconds to wait at most; None waits as long as it takes.

        Raises:
            RateLimitedError: it cannot pass in time.

        Cancelling it takes nothing.
        """
        await self._of(message).acquire(message, timeout)

    def acquire_nowait(self, message: Any) -> None:
        """
        Let the message pass the limiter of its kind now.

        Args:
            message: given to `kind`, and to that limiter.

        Raises:
            RateLimitedError: it may not pass now.
        """
        self._of(message).acquire_nowait(message)

    def spend(self, cost: float = 1.0) -> None:
        """
        Count what was sent without asking, for the default limiter.

        Args:
            cost: what it counts for.
        """
        self._default.spend(cost)

    def status(self) -> LimiterStatus:
        """Return how the default limiter does; `limiters` has the others."""
        return self._default.status()

    def _of(self, message: Any) -> Limiter:
        return self.limiters.get(self._kind(message), self._default)
