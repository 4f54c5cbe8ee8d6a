"""
Test servers and faults, for your tests as for ours (extra `testing`).

For pytest fixtures, put `pytest_plugins = ["wsfleet.testing.plugin"]` into your `conftest.py`.
"""

from __future__ import annotations

from .deribit import Credits, DeribitLimits, DeribitSession, MockDeribit, MockOrder
from .lines import FaultyLine
from .messages import echo, json_rpc
from .proxy import FaultProxy
from .raw import RawConnection, RawServer
from .server import MockServer
from .sessions import MockConnection, MockSession

__all__ = [
    "Credits",
    "DeribitLimits",
    "DeribitSession",
    "FaultProxy",
    "FaultyLine",
    "MockConnection",
    "MockDeribit",
    "MockOrder",
    "MockServer",
    "MockSession",
    "RawConnection",
    "RawServer",
    "echo",
    "json_rpc",
]
