"""
What venues want of their clients: profiles to use, to copy and to override.

A profile is a `Venue`: frozen, data and small pure functions. `dataclasses.replace` makes
another of it. Venues move: what a profile says was true when it was written.
"""

from __future__ import annotations

from wsfleet._client.venue import (
    Ack,
    Batch,
    Grant,
    Login,
    Venue,
    json_rpc_ack,
    json_rpc_batches,
)

from .deribit import deribit, deribit_limiter
from .json_rpc import json_rpc

__all__ = [
    "Ack",
    "Batch",
    "Grant",
    "Login",
    "Venue",
    "deribit",
    "deribit_limiter",
    "json_rpc",
    "json_rpc_ack",
    "json_rpc_batches",
]
