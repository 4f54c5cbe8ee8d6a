"""
Everything that wsfleet raises.

    WsfleetError
    +-- ConfigError (ValueError)
    +-- ConnectError
    |   +-- ConnectTimeoutError (TimeoutError)
    |   +-- ConnectRefusedError
    |   +-- DnsError
    |   +-- TlsError
    |   +-- HandshakeRejectedError
    |   +-- SessionRejectedError
    +-- SendError
    |   +-- NotConnectedError
    |   +-- RequestTimeoutError (TimeoutError)
    |   +-- DisconnectedError
    |   +-- BackpressureError
    |   +-- DuplicateRequestIdError
    |   +-- NoConnectionsError
    |   +-- MaxAttemptsExceededError
    |   +-- RateLimitedError
    +-- JsonRpcError
    +-- SubscriptionRejectedError
    +-- InboxOverflowError
    +-- StrayCancellationError
    +-- UnreadableAnswerError
    +-- RecordingError
    +-- RestartLimitError

Rule 1: every error says what happened and what to do; one of a send says whether it was sent.
Rule 2: attributes first, the text is made from them; all arguments are positional, so that
errors pickle.
Rule 3: no URL query value, userinfo or header value is ever part of one.
"""

from __future__ import annotations

from .base import ConfigError, WsfleetError
from .connecting import (
    ConnectError,
    ConnectRefusedError,
    ConnectTimeoutError,
    DnsError,
    HandshakeRejectedError,
    SessionRejectedError,
    TlsError,
)
from .living import (
    InboxOverflowError,
    JsonRpcError,
    RecordingError,
    RestartLimitError,
    StrayCancellationError,
    SubscriptionRejectedError,
    UnreadableAnswerError,
)
from .sending import (
    BackpressureError,
    DisconnectedError,
    DuplicateRequestIdError,
    MaxAttemptsExceededError,
    NoConnectionsError,
    NotConnectedError,
    RateLimitedError,
    RequestTimeoutError,
    SendError,
)

__all__ = [
    "BackpressureError",
    "ConfigError",
    "ConnectError",
    "ConnectRefusedError",
    "ConnectTimeoutError",
    "DisconnectedError",
    "DnsError",
    "DuplicateRequestIdError",
    "HandshakeRejectedError",
    "InboxOverflowError",
    "JsonRpcError",
    "MaxAttemptsExceededError",
    "NoConnectionsError",
    "NotConnectedError",
    "RateLimitedError",
    "RecordingError",
    "RequestTimeoutError",
    "RestartLimitError",
    "SendError",
    "SessionRejectedError",
    "StrayCancellationError",
    "SubscriptionRejectedError",
    "TlsError",
    "UnreadableAnswerError",
    "WsfleetError",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where users find them
