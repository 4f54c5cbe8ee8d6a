"""
Upper bounds of times, as sums of a client's options.

Rule: the page shows a bound with the defaults of the options, a run checks it with the options
of the run, so that one number stands for both.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from wsfleet import Config, PingPong

if TYPE_CHECKING:
    from collections.abc import Mapping

MARGIN: Final = 1.0
"""Seconds that each bound has for the work itself."""

_HEARTBEAT: Final = PingPong()
DEFAULTS: Final[dict[str, Any]] = {f.name: f.default for f in fields(Config)} | {
    "interval": Config(url="ws://127.0.0.1").heartbeat_interval,
    "heartbeat timeout": _HEARTBEAT.timeout,
    "login timeout": 5.0,
    "Retry-After": 0.0,
}
"""Seconds of each option that a bound may name; what a server asks for counts as 0."""


@dataclass(frozen=True, slots=True)
class Bound:
    """
    A time that is never longer than a sum.

    Attributes:
        options: names whose seconds are added.
        seconds: seconds beside them.
    """

    options: tuple[str, ...] = ()
    seconds: float = 0.0

    def limit(self, values: Mapping[str, Any], margin: float) -> float:
        """
        Return the seconds with these values of the options.

        Args:
            values: the seconds of each option.
            margin: seconds for the work itself.
        """
        return sum(float(values[name]) for name in self.options) + self.seconds + margin

    @property
    def cell(self) -> str:
        """What the page shows."""
        total = f"{self.limit(DEFAULTS, MARGIN):g} s"
        times = Counter(self.options).items()
        named = " + ".join(f"{n} x `{name}`" if n > 1 else f"`{name}`" for name, n in times)
        return f"{named}: {total}" if named else total


def sum_of(*options: str, seconds: float = 0.0) -> Bound:
    """Return the bound that is the sum of these options."""
    return Bound(options, seconds)


AT_ONCE: Final = Bound()
RETRIED: Final = sum_of("retry_delay")
CLOSED_AND_RETRIED: Final = sum_of("close_timeout", "retry_delay")
