"""
A server that speaks as the exchange Deribit does, and enforces what it enforces.

The venue's own documentation is the source: https://docs.deribit.com
"""

from __future__ import annotations

from .credits import Credits, DeribitLimits
from .orders import MockOrder
from .server import MockDeribit
from .session import DeribitSession

__all__ = ["Credits", "DeribitLimits", "DeribitSession", "MockDeribit", "MockOrder"]
