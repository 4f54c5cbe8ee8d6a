"""Candidates of a test's own: what routing sees of a client, and nothing else."""

from __future__ import annotations

from typing import Any


class Fake:
    """Counts how often it is looked at and sent through."""

    def __init__(
        self, name: str, *, health: float = 100.0, state: str = "connected", error: Any = None
    ) -> None:
        self.name = name
        self.health = health
        self.state = state
        self.error = error
        self.looks = 0
        self.sent: list[Any] = []

    def get_state(self) -> str:
        self.looks += 1
        return self.state

    def get_health(self) -> float:
        self.looks += 1
        return self.health

    async def send_message(self, message: Any) -> Any:
        self.sent.append(message)
        if self.error is not None:
            raise self.error
        return self.name
