"""Whom a message can be routed to."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from wsfleet._client.client import Client
from wsfleet._client.states import ClientState
from wsfleet._client.user_code import UserCode


@runtime_checkable
class Candidate(Protocol):
    """
    What routing needs of a client; one on another machine can be one, through an object of
    yours.

    `send_message` raises a `SendError` whose `sent` says whether another candidate may be
    tried.
    """

    @property
    def name(self) -> str:
        """What logs and errors call it."""

    def get_state(self) -> str:
        """Return "connected" when it can be sent through."""

    def get_health(self) -> float:
        """Return 0-100: how fit it is for the next message."""

    async def send_message(self, message: Any, /) -> Any:
        """
        Send one message; return its response, or None where none is awaited.

        Args:
            message: as `send_balanced` was given it.
        """


_CONNECTED: Final = ClientState.CONNECTED

Discovery: TypeAlias = Callable[[], Iterable[Candidate] | Awaitable[Iterable[Candidate]]]
"""Names the candidates for one message; sync or async."""


async def discover(discovery: Discovery) -> Sequence[Candidate]:
    """
    Ask for the candidates.

    Raises:
        TypeError: it did not name any number of things.
        StrayCancellationError: it let a cancellation out that nobody asked for.
    """
    with UserCode(discovery):
        found = discovery()
        if inspect.isawaitable(found):
            found = await found
        if not isinstance(found, Iterable):
            kind = type(found).__name__
            msg = f"client_discovery must return clients, not {kind}; nothing was sent"
            raise TypeError(msg)
        return found if isinstance(found, Sequence) else tuple(found)


def is_connected(candidate: Candidate) -> bool:
    """
    Whether a message can be sent through it now.

    Raises:
        TypeError: it is no candidate at all.
    """
    if type(candidate) is not Client:  # the common case, without a call
        check_candidate(candidate)
    return candidate.get_state() == _CONNECTED


def check_candidate(candidate: Candidate) -> None:
    """
    Hold what a discovery named to what routing needs.

    Raises:
        TypeError: it is no candidate at all.
    """
    if not isinstance(candidate, Client) and not isinstance(candidate, Candidate):
        msg = (
            f"client_discovery named {type(candidate).__name__}, which lacks name, get_state, "
            "get_health or send_message; nothing was sent"
        )
        raise TypeError(msg)
