"""Which event loop runs."""

from __future__ import annotations

import asyncio
import sys


def on_asyncio() -> bool:
    """Whether the running event loop is asyncio's (uvloop's included); else it is trio's."""
    trio = sys.modules.get("trio")
    return trio is None or not trio.lowlevel.in_trio_run()


def in_task() -> bool:
    """Whether a task of a running event loop is what calls this."""
    if not on_asyncio():
        return bool(sys.modules["trio"].lowlevel.in_trio_task())
    try:
        return asyncio.current_task() is not None
    except RuntimeError:  # no event loop runs
        return False
