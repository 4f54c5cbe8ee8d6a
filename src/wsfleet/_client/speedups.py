"""
Which twins of what happens to every message run: those in C, where they were compiled, or those
in plain Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wsfleet._wire.speedups import WANTED

from . import messages, straight, waiter

try:
    from . import _speedups
except ImportError:  # there was no compiler for it
    _built = False
else:
    _built = True

COMPILED: Final = WANTED and _built
"""Whether messages pass a client in C."""

if TYPE_CHECKING or not COMPILED:
    AsyncioWaiter = waiter.AsyncioWaiter
    StraightDelivery = straight.StraightDelivery
    json_or_text = messages.json_or_text
else:
    AsyncioWaiter = _speedups.AsyncioWaiter
    StraightDelivery = _speedups.StraightDelivery
    json_or_text = _speedups.json_or_text
