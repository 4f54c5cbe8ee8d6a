"""From the loss of a connection until the next one is in use: what a `Gap` tells."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from .events import Gap

NETWORK_DOWN: Final = "the local network was down"
"""Begin of the cause of a `Gap` for which the server is not to blame."""


class Interruption(msgspec.Struct, eq=False, gc=False):
    """
    One client's present interruption, if any.

    A connection that is lost again before it was in use only prolongs it.
    """

    _since: datetime | None = None
    _channels: tuple[str, ...] = ()
    _cause: str = ""

    def begin(self, channels: tuple[str, ...], cause: str) -> None:
        """Take note of the loss of a connection that was in use."""
        self._since, self._channels, self._cause = datetime.now(UTC), channels, cause

    @property
    def lasts(self) -> bool:
        """Whether there is one."""
        return self._since is not None

    def blame_network(self) -> None:
        """Say that the local network was down, beside what was seen of that."""
        self._cause = f"{NETWORK_DOWN}: {self._cause}"

    def gap(self) -> Gap:
        """Return what was missed until now."""
        assert self._since is not None
        return Gap(self._channels, self._since, datetime.now(UTC), self._cause)

    def end(self) -> None:
        """Take note that there is a connection in use."""
        self._since = None
