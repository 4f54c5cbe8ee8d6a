"""
Logs in on every connection of a client, and again before a login expires.

Rule 1: a token that was given for this is tried once; the secret is what counts.
Rule 2: no error has the login's messages, and no frame of a traceback holds them; a text of the
server that repeats a part of the login is shown without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import anyio

from wsfleet._wire.scrub import without_own_frames
from wsfleet.errors import SessionRejectedError

from .venue import code_of, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .dialogue import Dialogue
    from .venue import Grant, Login


SHORTEST: Final = 1.0
"""Seconds between two logins at least, whatever a venue says of its grants."""

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
    """

    __slots__ = ("_grant", "_login", "_temporary", "_url")

    def __init__(self, login: Login, url: str, temporary: frozenset[int]) -> None:
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
        call: Mapping[str, Any] = {}
        response: Mapping[str, Any] = {}
        try:
            call = self._login.request(grant)
            response = await dialogue.ask(call, self._login.timeout)
            error = response.get("error")
            if error is not None:
                words = _without(words_of(error), call)
                return _rejection(self._url, "login", code_of(error), words, self._temporary)
            self._grant = self._login.read(response)
        except Exception as exc:  # noqa: BLE001 - raised again
            failure = without_own_frames(exc)
        else:
            return None
        call = response = {}  # tracebacks may show local variables
        raise failure

    async def keep(self, dialogue: Dialogue) -> None:
        """
        Log in again and again, each time before the login expires; return where it never does.

        Raises: as `log_in`.
        """
        while self._grant is not None and self._grant.expires_in is not None:
            await anyio.sleep(max(self._grant.expires_in * self._login.refresh_at, SHORTEST))
            await self.log_in(dialogue)


def refused(
    url: str, step: str, error: object, temporary: frozenset[int]
) -> SessionRejectedError:
    """Return what it means that a step of a session was refused with a JSON-RPC error."""
    return _rejection(url, step, code_of(error), words_of(error), temporary)


def _rejection(
    url: str, step: str, code: int | None, words: str, temporary: frozenset[int]
) -> SessionRejectedError:
    return SessionRejectedError(url, step, words, code, code in temporary)


def _without(words: str, call: Mapping[str, Any]) -> str:
    """Return a server's words without what they repeat of a login."""
    private = {name: value for name, value in call.items() if name not in _PUBLIC_MEMBERS}
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
