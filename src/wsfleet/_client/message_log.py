"""
Logs that messages pass, for whoever looks for what a connection does.

Rule: sizes and kinds, and never a payload: messages carry tokens and orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsfleet._log import Log

if TYPE_CHECKING:
    from wsfleet._wire.frames import Opcode
    from wsfleet._wire.tapped import Tap

    from .gauges import Gauges


class MessageLog:
    """
    Logs one client's messages and goodbyes.

    Args:
        client: whose they are.
    """

    def __init__(self, client: Gauges) -> None:
        self._client = client

    @property
    def tap(self) -> Tap:
        """What each connection tells."""
        return self._log

    def _log(self, direction: str, opcode: Opcode, payload: bytes) -> None:
        life = self._client.life
        Log(life.crash).debug(
            "client.message",
            **life.identity(),
            direction=direction,
            kind=opcode.name.lower(),
            size=len(payload),
        )
