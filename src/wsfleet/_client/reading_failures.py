"""
What happens when a function of the user's fails to read what a server sent.

Rule: it is logged once for each function and connection, without what was read: that may hold a
token. The message counts as not understood, and the client goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from wsfleet._log import Log

from .user_code import crash_of, is_exit, name_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class Reader(Protocol):
    """The client whose messages are read."""

    def identity(self) -> Mapping[str, Any]:
        """Return the keys of its log entries."""

    def crash(self, error: BaseException) -> None:
        """End it."""


class ReadingFailures:
    """
    The failures of one connection at a time.

    Args:
        reader: the client.
    """

    __slots__ = ("_reader", "_seen")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._seen: set[str] | None = None

    def begin(self) -> None:
        """Begin anew for a new connection."""
        self._seen = None

    def add(self, function: object, error: BaseException) -> bool:
        """
        Log a failure, unless that function has failed before; return whether the message is to
        be delivered as not understood. It is not where the error ends the program.
        """
        found = crash_of(error, function, is_sync=True)
        if is_exit(found):
            self._reader.crash(found)
            return False
        seen, name = self._seen or set(), name_of(function)
        self._seen = seen
        if name not in seen:
            seen.add(name)
            Log(self._reader.crash).warning(
                "venue.function_failed",
                **self._reader.identity(),
                function=name,
                error_type=type(error).__name__,
            )
        return True
