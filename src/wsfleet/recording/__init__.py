"""
Reads what clients with the option `record_to` wrote: JSON lines of all that came and went.

Rule: a recording is read as it is needed, however long it is.
"""

from __future__ import annotations

from .entries import CloseFrame, Direction, Entry, Kind
from .reading import Metadata, metadata, read
from .replaying import replay

__all__ = [
    "CloseFrame",
    "Direction",
    "Entry",
    "Kind",
    "Metadata",
    "metadata",
    "read",
    "replay",
]
