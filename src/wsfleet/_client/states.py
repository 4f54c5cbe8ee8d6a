"""
The life of a client, as data.

Rule 1: every change of phase is a row of TRANSITIONS; nothing else makes one.
Rule 2: this module knows no task, no socket, no clock and no logger.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class ClientState(StrEnum):
    """What `get_state()` says."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


class Phase(Enum):
    """Where in its life a client is; finer than `ClientState`."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "lost"
    WAITING = "waiting"
    CLOSED = "closed"
    FAILED = "failed"
    CRASHED = "crashed"

    @property
    def state(self) -> ClientState:
        """The same, as users see it."""
        if self is Phase.CONNECTED:
            return ClientState.CONNECTED
        if self is Phase.CONNECTING:
            return ClientState.CONNECTING
        return ClientState.DISCONNECTED


class Step(StrEnum):
    """What happens to a client; the value is the name of the log event."""

    CONNECT = "client.connecting"
    OPEN = "client.connected"
    LOSE = "client.disconnected"
    SCHEDULE = "client.reconnect_scheduled"
    CLOSE = "client.closed"
    FAIL = "client.failed"
    CRASH = "client.crashed"


_P, _S = Phase, Step

_AGAIN: Final = {_S.CONNECT: _P.CONNECTING, _S.CLOSE: _P.CLOSED}
"""A life that has ended can be lived again: a supervisor restarts the same client."""

TRANSITIONS: Final[Mapping[Phase, Mapping[Step, Phase]]] = {
    _P.NEW: {_S.CONNECT: _P.CONNECTING, _S.CLOSE: _P.CLOSED},
    _P.CONNECTING: {
        _S.OPEN: _P.CONNECTED,
        _S.SCHEDULE: _P.WAITING,
        _S.CLOSE: _P.CLOSED,
        _S.FAIL: _P.FAILED,
        _S.CRASH: _P.CRASHED,
    },
    _P.CONNECTED: {_S.LOSE: _P.LOST},
    _P.LOST: {
        _S.CONNECT: _P.CONNECTING,
        _S.SCHEDULE: _P.WAITING,
        _S.CLOSE: _P.CLOSED,
        _S.FAIL: _P.FAILED,
        _S.CRASH: _P.CRASHED,
    },
    _P.WAITING: {
        _S.CONNECT: _P.CONNECTING,
        _S.CLOSE: _P.CLOSED,
        _S.CRASH: _P.CRASHED,
    },
    _P.CLOSED: _AGAIN,
    _P.FAILED: _AGAIN,
    _P.CRASHED: _AGAIN,
}

ENDED: Final = frozenset({_P.NEW, _P.CLOSED, _P.FAILED, _P.CRASHED})
"""Phases in which no task lives a client's life."""


def after(phase: Phase, step: Step) -> Phase:
    """
    Return the phase that follows.

    Raises:
        RuntimeError: the step cannot happen there; that is a bug in wsfleet.
    """
    try:
        return TRANSITIONS[phase][step]
    except KeyError:
        msg = f"{step} cannot happen to a client that is {phase.value}: please report this bug"
        raise RuntimeError(msg) from None


def level_of(step: Step, *, asked_for: bool) -> str:
    """
    Return how much attention a step deserves: "info", "warning" (we cope) or "error".

    Args:
        step: what happens.
        asked_for: whether somebody asked for the end of the connection.
    """
    if step in {Step.FAIL, Step.CRASH}:
        return "error"
    coping = step is Step.SCHEDULE or (step is Step.LOSE and not asked_for)
    return "warning" if coping else "info"
