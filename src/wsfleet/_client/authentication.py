"""
Logs in on every connection of a client, and again before a login expires.

Rule: a token that was given for this is tried once; the secret is what counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from wsfleet.errors import SessionRejectedError

from .venue import code_of, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .dialogue import Dialogue
    from .venue import Grant, Login


SHORTEST: Final = 1.0
"""Seconds between two logins at least, whatever a venue says of its grants."""


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
        response: Mapping[str, Any] | None = None
        if known is not None and known.refresh_token is not None:
            response = await self._ask(dialogue, known)
        if response is None or response.get("error") is not None:
            response = await self._ask(dialogue, None)
        error = response.get("error")
        if error is not None:
            raise refused(self._url, "login", error, self._temporary)
        self._grant = self._login.read(response)

    async def keep(self, dialogue: Dialogue) -> None:
        """
        Log in again and again, each time before the login expires; return where it never does.

        Raises: as `log_in`.
        """
        while self._grant is not None and self._grant.expires_in is not None:
            await anyio.sleep(max(self._grant.expires_in * self._login.refresh_at, SHORTEST))
            await self.log_in(dialogue)

    async def _ask(self, dialogue: Dialogue, grant: Grant | None) -> Mapping[str, Any]:
        return await dialogue.ask(self._login.request(grant), self._login.timeout)


def refused(
    url: str, step: str, error: object, temporary: frozenset[int]
) -> SessionRejectedError:
    """Return what it means that a step of a session was refused with a JSON-RPC error."""
    code = code_of(error)
    return SessionRejectedError(url, step, words_of(error), code, code in temporary)
