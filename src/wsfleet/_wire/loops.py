"""Which event loop runs."""

from __future__ import annotations

import sys


def on_asyncio() -> bool:
    """Whether the running event loop is asyncio's (uvloop's included); else it is trio's."""
    trio = sys.modules.get("trio")
    return trio is None or not trio.lowlevel.in_trio_run()
