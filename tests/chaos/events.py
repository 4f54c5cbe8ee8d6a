"""The events of a run: those of one connection come in their order, each once."""

from __future__ import annotations

from collections import Counter
from typing import Any

from wsfleet import Message


class Sequences:
    """
    Checks the events that servers number.

    Attributes:
        counts: how many events of each kind came.
        problems: what came out of order, in words.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self._next: Counter[int] = Counter()

    def take(self, event: Any) -> None:
        """Take the next event of any connection; a handler."""
        self.counts[type(event).__name__] += 1
        if isinstance(event, Message) and isinstance(event.data, dict):
            params = event.data.get("params")
            if event.data.get("method") == "subscription" and isinstance(params, dict):
                self._check(params["connection"], params["sequence"])

    def _check(self, connection: int, sequence: int) -> None:
        if sequence != self._next[connection]:
            self.problems.append(
                f"connection {connection}: event {sequence} instead of {self._next[connection]}"
            )
        self._next[connection] = sequence + 1
