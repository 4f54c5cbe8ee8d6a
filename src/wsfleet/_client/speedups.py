"""
Which twins of what happens to every message run: those in C, where they were compiled, or those
in plain Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsfleet._wire.speedups import COMPILED

from . import messages, straight, waiter

if TYPE_CHECKING or not COMPILED:
    AsyncioWaiter = waiter.AsyncioWaiter
    StraightDelivery = straight.StraightDelivery
    json_or_text = messages.json_or_text
else:
    from . import _speedups

    AsyncioWaiter = _speedups.AsyncioWaiter
    StraightDelivery = _speedups.StraightDelivery
    json_or_text = _speedups.json_or_text
