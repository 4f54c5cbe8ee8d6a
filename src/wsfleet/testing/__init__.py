"""
Test servers and faults, for your tests as for ours (extra `testing`).

For pytest fixtures, put `pytest_plugins = ["wsfleet.testing.plugin"]` into your `conftest.py`.
"""

from __future__ import annotations

from .messages import echo, json_rpc
from .proxy import FaultProxy
from .raw import RawConnection, RawServer
from .server import MockServer

__all__ = ["FaultProxy", "MockServer", "RawConnection", "RawServer", "echo", "json_rpc"]
