"""The heartbeats of a client, each with its pulse on the present connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from .callables import refuse_coroutine
from .heartbeat import HeartbeatRecord, Watchful
from .heartbeats import ClientPing, ServerBeat
from .latency import LatencyWindow
from .pulse import Pulse
from .user_code import method_named

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
        unread: called with a function that failed to read, and what it raised.
    """

    __slots__ = ("_heartbeats", "_interval", "_present", "_unread", "_watchful", "record")

    def __init__(
        self,
        heartbeats: Sequence[Heartbeat],
        interval: float,
        size: int,
        unread: Callable[[object, BaseException], object],
    ) -> None:
        self._unread = unread
        self.record: HeartbeatRecord = HeartbeatRecord(LatencyWindow(size))
        self._heartbeats = heartbeats
        self._interval = interval
        self._present: tuple[Beat, ...] = ()
        self._watchful: tuple[tuple[Watchful, Pulse], ...] = ()

    @property
    def watchful(self) -> bool:
        """Whether one of them has to see the messages that come in."""
        return any(_is_watchful(heartbeat) for heartbeat in self._heartbeats)

    def begin(
        self, connection: Connection, dialogue: Dialogue, clock: Callable[[], float]
    ) -> Sequence[Beat]:
        """Give each a pulse on a new connection."""
        self._present = tuple(
            (heartbeat, Pulse(connection, dialogue, self.record, self._interval, clock))
            for heartbeat in self._heartbeats
        )
        # Told apart here: each message that comes in is shown to them.
        self._watchful = tuple(
            (heartbeat, pulse) for heartbeat, pulse in self._present if _is_watchful(heartbeat)
        )
        return self._present

    def end(self) -> None:
        """Take note that the connection is lost."""
        self._present = self._watchful = ()

    def on_pong(self, payload: bytes) -> None:
        """Take a pong."""
        for _, pulse in self._present:
            pulse.on_pong(payload)

    def takes(self, data: Any) -> bool:
        """Take a message that is one of the heartbeats'; False when it is none's."""
        for heartbeat, pulse in self._watchful:
            try:
                taken = heartbeat.takes(data)
                if not taken:
                    continue
                refuse_coroutine(taken)
            except BaseException as exc:  # noqa: BLE001 - a user's heartbeat; the message is not its own
                self._unread(_reader_of(heartbeat), exc)
                continue
            pulse.take(data)
            return True
        return False

    def health(self, now: float) -> HeartbeatHealth | None:
        """Return how they do at `now`, or None when there are none."""
        if not self._heartbeats:
            return None
        kinds = [type(heartbeat).__name__ for heartbeat in self._heartbeats]
        return self.record.health(kinds, now)


def _reader_of(heartbeat: Watchful) -> object:
    """Return the function that reads for a heartbeat: a user's, where there is one."""
    for name in ("answer", "expects"):
        if isinstance(heartbeat, ClientPing | ServerBeat):
            function = getattr(heartbeat, name, None)
            if callable(function):
                return function
    return method_named(heartbeat, "takes")


def _is_watchful(heartbeat: Heartbeat) -> TypeGuard[Watchful]:
    # isinstance() of a Protocol takes as long as making the rest of a client.
    return callable(getattr(heartbeat, "takes", None))
