"""The servers of the tests of pools, and what reads their log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wsfleet import Message

if TYPE_CHECKING:
    from collections.abc import MutableMapping

A: Final = "ws://a/"
B: Final = "ws://b/"
C: Final = "ws://c/"


def events(entries: list[MutableMapping[str, Any]], *, of: str | None = None) -> list[str]:
    """Return the names of what was logged, of one client or of all."""
    return [e["event"] for e in entries if of is None or e.get("client") == of]


def explode(event: Any) -> None:
    """Be a handler with a bug in what it does with messages."""
    if isinstance(event, Message):
        raise LookupError(event.data)
