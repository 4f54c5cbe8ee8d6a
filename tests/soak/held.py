"""What a process holds: objects, and memory."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from pathlib import Path
from typing import Final, NamedTuple, Self

GROWTH: Final = 1.2
"""What may be held at the end, for each of what was held when the fleet had warmed up."""

_STATM: Final = Path("/proc/self/statm")


class Held(NamedTuple):
    """
    What the process holds at one moment.

    Attributes:
        ours: objects of wsfleet.
        objects: all objects that the garbage collector knows.
        memory: KiB that are resident; the most so far, where the system does not tell more.
    """

    ours: int
    objects: int
    memory: int

    @classmethod
    def now(cls) -> Self:
        """
        Measure, once the allocator has given back what is free: glibc keeps the freed buffers
        of TLS connections, in pieces.
        """
        gc.collect()
        _trim()
        objects = gc.get_objects()
        ours = sum(str(type(o).__module__).startswith("wsfleet.") for o in objects)
        return cls(ours, len(objects), _memory())

    def compared(self, later: Held) -> str:
        """Return both in words."""
        return (
            f"objects of wsfleet {self.ours} -> {later.ours}, "
            f"of all kinds {self.objects} -> {later.objects}; "
            f"memory {self.memory} -> {later.memory} KiB"
        )

    def has_grown(self, later: Held) -> bool:
        """Whether more is held later than chance explains."""
        return (
            later.ours > self.ours * GROWTH + 100
            or later.objects > self.objects * GROWTH + 1000
            or later.memory > self.memory * GROWTH
        )


def _trim() -> None:
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _memory() -> int:
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * resource.getpagesize() // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
