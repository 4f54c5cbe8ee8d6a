"""
Which candidate gets the next message.

In a small pool all are looked at: the healthiest, and among those about as healthy the next in
rotation. In a large one two are drawn at random and the healthier is taken, so that the cost of
a choice does not grow with the pool (Mitzenmacher, "The Power of Two Choices in Randomized Load
Balancing", 2001).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from .candidates import is_connected

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .candidates import Candidate

SMALL: Final = 8
"""Candidates up to which all are looked at."""

TOLERANCE: Final = 5.0
"""
Points of health within which two are about as healthy: less than one pending request makes.
"""

_DRAWS: Final = 8
"""Random draws before all are looked at after all: more than enough unless most are unfit."""


class Router:
    """Chooses, and remembers whose turn it was."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = -1

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
        if len(candidates) > SMALL and (drawn := _draw_two(candidates, tried)) is not None:
            first, second = drawn
            return first if first.get_health() >= second.get_health() else second
        return self._next_in_rotation(candidates, tried)

    def _next_in_rotation(
        self, candidates: Sequence[Candidate], tried: Collection[Candidate]
    ) -> Candidate | None:
        size = len(candidates)
        best: int | None = None
        best_health = -TOLERANCE
        for step in range(1, size + 1):
            index = (self._last + step) % size
            candidate = candidates[index]
            if not _is_fit(candidate, tried):
                continue
            health = candidate.get_health()
            if best is None or health > best_health + TOLERANCE:
                best, best_health = index, health
        if best is None:
            return None
        self._last = best
        return candidates[best]


def _draw_two(
    candidates: Sequence[Candidate], tried: Collection[Candidate]
) -> tuple[Candidate, Candidate] | None:
    first: Candidate | None = None
    for _ in range(_DRAWS):
        drawn = candidates[int(random.random() * len(candidates))]  # noqa: S311 - spreads load
        if drawn is first or not _is_fit(drawn, tried):
            continue
        if first is not None:
            return first, drawn
        first = drawn
    return None


def _is_fit(candidate: Candidate, tried: Collection[Candidate]) -> bool:
    return is_connected(candidate) and not any(candidate is other for other in tried)
