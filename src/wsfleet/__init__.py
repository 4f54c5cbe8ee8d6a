"""Keeps a fleet of WebSocket connections alive and sends through whichever is fit."""

from __future__ import annotations

from . import errors, recording, venues
from ._client.channels import SubscriptionState
from ._client.client import Client
from ._client.config import ClientOptions, Config
from ._client.connecting import connect
from ._client.events import (
    Binary,
    Event,
    Gap,
    Handler,
    Message,
    ProtocolError,
    UnmatchedResponse,
)
from ._client.heartbeat import Heartbeat, HeartbeatHealth, PingPong, Watchful
from ._client.heartbeats import ClientPing, JsonRpcHeartbeat, ServerBeat
from ._client.latency import LatencyStats
from ._client.limits import Limiter, SlidingWindow, TokenBucket
from ._client.line import LimiterStatus
from ._client.metrics import StateMetrics
from ._client.pulse import Pulse
from ._client.split import SplitLimiter
from ._client.states import ClientState
from ._client.venue import Venue
from ._describe.describe import describe
from ._explain.advice import Explanation
from ._explain.explain import explain
from ._pool.candidates import Candidate
from ._pool.child import ChildSpec
from ._pool.health_rows import PoolHealth
from ._pool.supervisor import ClientSupervisor
from ._wire.deflate import Deflate

__all__ = [
    "Binary",
    "Candidate",
    "ChildSpec",
    "Client",
    "ClientOptions",
    "ClientPing",
    "ClientState",
    "ClientSupervisor",
    "Config",
    "Deflate",
    "Event",
    "Explanation",
    "Gap",
    "Handler",
    "Heartbeat",
    "HeartbeatHealth",
    "JsonRpcHeartbeat",
    "LatencyStats",
    "Limiter",
    "LimiterStatus",
    "Message",
    "PingPong",
    "PoolHealth",
    "ProtocolError",
    "Pulse",
    "ServerBeat",
    "SlidingWindow",
    "SplitLimiter",
    "StateMetrics",
    "SubscriptionState",
    "TokenBucket",
    "UnmatchedResponse",
    "Venue",
    "Watchful",
    "connect",
    "describe",
    "errors",
    "explain",
    "recording",
    "venues",
]
