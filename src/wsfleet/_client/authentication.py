"""
Logs in on every connection of a client, and again before a login expires.

Rule 1: a token that was given for this is tried once; the secret is what counts.
Rule 2: no error has the login's messages, and no frame of a traceback holds them; a text of the
server that repeats a part of the login is shown without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from wsfleet._wire.scrub import without_own_frames
from wsfleet.errors import SessionRejectedError

from .user_code import call
from .venue import Grant, code_of, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .dialogue import Dialogue
    from .venue import Login


SHORTEST: Final = 1.0
"""Seconds between two logins at least, whatever a venue says of its grants."""

LONGEST: Final = 10 * 365 * 86400.0
"""Seconds after which a login is renewed at the latest; no timer is asked for more."""

_SHORTEST_SECRET: Final = 6
"""Characters from which a text of a login is taken out of what the server says."""

_PUBLIC_MEMBERS: Final = frozenset({"jsonrpc", "method", "op"})


class Authentication:
    """
    One client's login, over all its connections.

    Args:
        login: how.
        url: where, without its secrets.
        temporary: numbers of errors after which the same call may succeed later.
        unread: called with a function that failed to read, and what it raised.
    """

    __slots__ = ("_grant", "_login", "_temporary", "_unread", "_url")

    def __init__(
        self,
        login: Login,
        url: str,
        temporary: frozenset[int],
        unread: Callable[[object, BaseException], object],
    ) -> None:
        self._unread = unread
        self._login = login
        self._url = url
        self._temporary = temporary
        self._grant: Grant | None = None

    async def begin(self, dialogue: Dialogue) -> None:
        """Log in on a new connection; see `log_in`."""
        if self._grant is not None and not self._grant.portable:
            self._grant = None
        await self.log_in(dialogue)

    async def log_in(self, dialogue: Dialogue) -> None:
        """
        Log in, with the refresh token of the last login where there is one.

        Raises:
            SessionRejectedError: the server refused.
            TimeoutError: it did not answer in time.
            SendError: the connection has ended.
        """
        known, self._grant = self._grant, None
        has_token = known is not None and known.refresh_token is not None
        if has_token and await self._try(dialogue, known) is None:
            return
        refusal = await self._try(dialogue, None)
        if refusal is not None:
            raise refusal

    async def _try(
        self, dialogue: Dialogue, grant: Grant | None
    ) -> SessionRejectedError | None:
        """Log in once; return why the server refused, or None where it did not."""
        message: Mapping[str, Any] = {}
        response: Mapping[str, Any] = {}
        try:
            message = call(self._login.request, grant)
            response = await dialogue.ask(message, self._login.timeout)
            error = response.get("error")
            if error is not None:
                words = words_of(error, partial(_without, message))
                return _rejection(self._url, "login", code_of(error), words, self._temporary)
            self._grant = self._read(response)
        except Exception as exc:  # noqa: BLE001 - raised again
            failure = without_own_frames(exc)
        else:
            return None
        message = response = {}  # tracebacks may show local variables
        raise failure

    def _read(self, response: Mapping[str, Any]) -> Grant:
        read = self._login.read
        try:
            return _checked(read(response))
        except BaseException as exc:  # noqa: BLE001 - a user's profile; the attempt fails
            self._unread(read, exc)
            detail = f"its answer could not be read ({type(exc).__name__})"
            failure = without_own_frames(exc)
            raise SessionRejectedError(self._url, "login", detail, None, True) from failure

    async def keep(self, dialogue: Dialogue) -> None:
        """
        Log in again and again, each time before the login expires; return where it never does.

        Raises: as `log_in`.
        """
        while (lifetime := lifetime_of(self._grant)) is not None:
            await anyio.sleep(max(lifetime * self._login.refresh_at, SHORTEST))
            await self.log_in(dialogue)


def _checked(grant: Grant) -> Grant:
    if not isinstance(grant, Grant):
        msg = f"a login's read returns a Grant, not {type(grant).__name__}"
        raise TypeError(msg)
    return grant


def lifetime_of(grant: Grant | None) -> float | None:
    """
    Return the seconds for which a login holds, or None for as long as its connection: also
    where a venue said something that is no time.
    """
    seconds: object = None if grant is None else grant.expires_in
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return None
    if isinstance(seconds, float) and math.isnan(seconds):
        return None
    return float(min(max(seconds, 0.0), LONGEST))


def refused(
    url: str, step: str, error: object, temporary: frozenset[int]
) -> SessionRejectedError:
    """Return what it means that a step of a session was refused with a JSON-RPC error."""
    return _rejection(url, step, code_of(error), words_of(error), temporary)


def _rejection(
    url: str, step: str, code: int | None, words: str, temporary: frozenset[int]
) -> SessionRejectedError:
    return SessionRejectedError(url, step, words, code, code in temporary)


def _without(message: Mapping[str, Any], words: str) -> str:
    """Return a server's words without what they repeat of a login."""
    private = {name: value for name, value in message.items() if name not in _PUBLIC_MEMBERS}
    for text in sorted(set(_texts(private)), key=len, reverse=True):
        words = words.replace(text, "***")
    return words


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) >= _SHORTEST_SECRET:
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _texts(inner)
