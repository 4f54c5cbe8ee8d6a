"""The heartbeats of a client, each with its pulse on the present connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from .heartbeat import HeartbeatRecord, Watchful
from .pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wsfleet._wire.connection import Connection

    from .dialogue import Dialogue
    from .heartbeat import Heartbeat, HeartbeatHealth

Beat: TypeAlias = "tuple[Heartbeat, Pulse]"


class Beats:
    """
    Keeps them over all connections.

    Args:
        heartbeats: those of the configuration and of the venue.
        interval: seconds, the client's `heartbeat_interval`.
        size: round trips that are remembered.
    """

    __slots__ = ("_heartbeats", "_interval", "_present", "_watchful", "record")

    def __init__(self, heartbeats: Sequence[Heartbeat], interval: float, size: int) -> None:
        self.record = HeartbeatRecord(size)
        self._heartbeats = heartbeats
        # Asked once, and not by isinstance(): that of a Protocol takes as long as making the
        # rest of a client.
        self._watchful = [h for h in heartbeats if hasattr(h, "takes")]
        self._interval = interval
        self._present: tuple[Beat, ...] = ()

    @property
    def watchful(self) -> bool:
        """Whether one of them has to see the messages that come in."""
        return bool(self._watchful)

    def begin(
        self, connection: Connection, dialogue: Dialogue, clock: Callable[[], float]
    ) -> Sequence[Beat]:
        """Give each a pulse on a new connection."""
        self._present = tuple(
            (heartbeat, Pulse(connection, dialogue, self.record, self._interval, clock))
            for heartbeat in self._heartbeats
        )
        return self._present

    def end(self) -> None:
        """Take note that the connection is lost."""
        self._present = ()

    def on_pong(self, payload: bytes) -> None:
        """Take a pong."""
        for _, pulse in self._present:
            pulse.on_pong(payload)

    def takes(self, data: Any) -> bool:
        """Take a message that is one of the heartbeats'; False when it is none's."""
        for heartbeat in self._watchful:
            if self._present and heartbeat.takes(data):
                self._pulse_of(heartbeat).take(data)
                return True
        return False

    def _pulse_of(self, heartbeat: Heartbeat) -> Pulse:
        return next(pulse for other, pulse in self._present if other is heartbeat)

    def health(self, now: float) -> HeartbeatHealth | None:
        """Return how they do at `now`, or None when there are none."""
        if not self._heartbeats:
            return None
        kinds = [type(heartbeat).__name__ for heartbeat in self._heartbeats]
        return self.record.health(kinds, now)
