"""
Test servers and faults, for your tests as for ours (extra `testing`).

For pytest fixtures, put `pytest_plugins = ["wsfleet.testing.plugin"]` into your `conftest.py`.
"""

from __future__ import annotations

from .messages import echo, json_rpc
from .server import MockServer

__all__ = ["MockServer", "echo", "json_rpc"]
