"""
Which candidate gets the next message.

In a small pool all are looked at: of the healthiest, and those about as healthy, the one whose
last turn is longest ago. In a large one two are drawn at random and the clearly healthier is
taken, or the first, so that the cost of a choice does not grow with the pool (Mitzenmacher,
"The Power of Two Choices in Randomized Load Balancing", 2001).

A client whose write buffer is full is chosen only where all are full: a message would wait
there for a peer that does not read. Its health says so.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Final

from wsfleet._client.health import FULL_SHARE, MOST_WHEN_FULL

from .candidates import check_candidate, is_connected

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .candidates import Candidate

SMALL: Final = 8
"""Candidates up to which all are looked at."""

TOLERANCE: Final = 5.0
"""
Points of health within which two are about as healthy: less than one pending request makes.
"""

_LEAST_WITH_ROOM: Final = math.nextafter(MOST_WHEN_FULL, math.inf)

_DRAWS: Final = 8
"""Random draws before all are looked at after all: more than enough unless most are unfit."""

_REMEMBERED: Final = 1024
"""Turns that are remembered: names may be made up anew for ever."""


class Router:
    """
    Chooses, and remembers whose turn it was.

    By name, and not by place: discoveries of all sizes take turns over the same clients, and
    may make an object anew for each message.
    """

    __slots__ = ("_turn", "_turns")

    def __init__(self) -> None:
        self._turn = 0
        self._turns: dict[str, int] = {}

    def choose(
        self, candidates: Sequence[Candidate], tried: Collection[Candidate]
    ) -> Candidate | None:
        """
        Return the candidate for the next attempt, or None when no connected one is left.

        Args:
            candidates: connected or not, each perhaps named twice.
            tried: those that had their attempt.

        Raises:
            TypeError: something among them is no candidate.
        """
        if len(candidates) > SMALL and (drawn := _draw(candidates, tried)) is not None:
            return drawn
        return self._next_in_turn(candidates, tried)

    def _next_in_turn(
        self, candidates: Sequence[Candidate], tried: Collection[Candidate]
    ) -> Candidate | None:
        fit = [(c.get_health(), c) for c in candidates if _is_fit(c, tried)]
        if not fit:
            return None
        enough = _enough(max(health for health, _ in fit))
        first = self._turn % len(fit)  # two of one name have turns by their place
        equals = [c for health, c in fit[first:] + fit[:first] if health >= enough]
        chosen = min(equals, key=self._last_turn)
        self._take_turn(chosen.name)
        return chosen

    def _last_turn(self, candidate: Candidate) -> int:
        return self._turns.get(candidate.name, 0)

    def _take_turn(self, name: str) -> None:
        self._turn += 1
        self._turns.pop(name, None)
        self._turns[name] = self._turn
        if len(self._turns) > _REMEMBERED:
            del self._turns[next(iter(self._turns))]


def _enough(best: float) -> float:
    """Return the health of those that are about as healthy as the best, at least."""
    if best <= MOST_WHEN_FULL:
        return best - TOLERANCE * FULL_SHARE
    return max(best - TOLERANCE, _LEAST_WITH_ROOM)


def _draw(candidates: Sequence[Candidate], tried: Collection[Candidate]) -> Candidate | None:
    size = len(candidates)
    for _ in range(_DRAWS):
        first = candidates[int(random.random() * size)]  # noqa: S311 - spreads load
        second = candidates[int(random.random() * size)]  # noqa: S311 - spreads load
        check_candidate(first)
        check_candidate(second)
        chosen, health, other = first, first.get_health(), second.get_health()
        if other > health + TOLERANCE:
            chosen, health = second, other
        # Only the better one is looked at closely: in a large pool that is what costs time.
        if health > MOST_WHEN_FULL and _is_fit(chosen, tried):
            return chosen
    return None


def _is_fit(candidate: Candidate, tried: Collection[Candidate]) -> bool:
    if not is_connected(candidate):
        return False
    # Most messages have no attempt behind them: an iteration over none of them costs, too.
    return not (tried and any(candidate is other for other in tried))
