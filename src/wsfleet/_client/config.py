"""
What a client is told: frozen, and checked at birth.

Rule 1: a value that can never work is refused here, with the option's name.
Rule 2: neither the URL's secrets nor header values are ever shown, in a repr or in an error.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypedDict, get_args

from wsfleet._wire.deflate import Deflate
from wsfleet._wire.frames import decode_utf8
from wsfleet._wire.opening import Endpoint
from wsfleet._wire.redact import redact_url
from wsfleet._wire.scrub import scrub
from wsfleet.errors import ConfigError

from .checks import (
    check_counts,
    check_http_client,
    check_number,
    check_numbers,
    check_path,
    check_proxy,
    check_ssl_context,
    check_url,
    checked_headers,
    checked_subprotocols,
)
from .heartbeat import Heartbeat, PingPong
from .inbox import Overflow
from .limits import Limiter
from .speedups import json_or_text
from .venue import JSON_RPC, Venue

if TYPE_CHECKING:
    import os
    import ssl
    from typing import Self

    import httpx

HeadersLike: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]
"""Header names and values; a name may come twice in a sequence."""

DecodeLike: TypeAlias = Literal["json", "raw"] | Callable[[str], Any]
"""What text becomes: decoded JSON, itself, or what a function makes of it."""

HeartbeatLike: TypeAlias = Heartbeat | Sequence[Heartbeat] | None
"""What keeps a connection alive: one, several, or nothing."""

_OVERFLOWS: Final = get_args(Overflow)
_POSITIVE: Final = (
    "timeout",
    "heartbeat_interval",
    "request_timeout",
    "close_timeout",
    "stall_after",
)
_NOT_NEGATIVE: Final = ("retry_delay", "max_backoff", "stable_after")
_COUNTS: Final = (
    "retry_count",
    "max_redirects",
    "latency_buffer_size",
    "inbox_size",
    "inbox_bytes",
    "max_message_size",
)

_PING_PONG: Final = PingPong()


class ClientOptions(TypedDict, total=False):
    """Every option of `Config` except its URL, as keyword arguments; see there."""

    headers: HeadersLike
    timeout: float
    max_redirects: int
    cross_origin_login: bool
    retry_count: int | None
    retry_delay: float
    max_backoff: float
    stable_after: float
    reconnect_on_error: bool
    restore_subscriptions: bool
    heartbeat_interval: float
    heartbeat: HeartbeatLike
    request_timeout: float
    stall_after: float
    latency_buffer_size: int
    record_to: str | os.PathLike[str] | None
    record_unsafe: bool
    debug: bool
    subprotocols: Sequence[str]
    compression: Deflate | bool | None
    max_message_size: int | None
    ssl_context: ssl.SSLContext | None
    proxy: str | None
    http_client: httpx.AsyncClient | None
    inbox_size: int
    inbox_bytes: int
    overflow: Overflow
    close_timeout: float
    decode: DecodeLike
    limiter: Limiter | None
    limiter_timeout: float | None
    connect_limiter: Limiter | None
    venue: Venue


_NAMES: Final = frozenset(ClientOptions.__annotations__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """
    How a client connects and behaves; all times are seconds as floats.

    Attributes:
        url: `ws://` or `wss://`. Userinfo becomes Basic authentication.
        headers: sent with every upgrade.
        timeout: for one whole attempt to connect: DNS, TCP, TLS and upgrade.
        max_redirects: followed in one attempt; never from `wss://` to `ws://`, and another
            origin is shown neither `headers` nor userinfo.
        cross_origin_login: whether a redirect to another origin is followed although that
            origin then gets the login or calls of `venue`, or a subprotocol that may carry a
            token. Without it such a redirect is refused.
        retry_count: retries in a row before the client fails; None retries for ever.
        retry_delay: the longest wait before the first retry; it doubles with each.
        max_backoff: the longest wait before any retry.
        stable_after: how long a connection must have lasted for the count and the waits to
            start afresh.
        reconnect_on_error: False ends the client with its first connection.
        restore_subscriptions: whether channels are subscribed again after a reconnect, before
            the client counts as connected.
        heartbeat_interval: between the beats of heartbeats that name no interval.
        heartbeat: what keeps a connection alive and finds a dead peer; one, several, or None.
            That of the venue runs beside it.
        request_timeout: for the response to a request, waiting for a limiter and for room in
            the write buffer included; also for a message without an `id` to be handed over, for
            each batch of channels, and each call of a venue. A balanced send has it for each
            attempt.
        stall_after: for how long the event loop must have been blocked (by your code, a stopped
            process, swapping) to count as stalled: that is logged, and not counted against the
            peer in any deadline.
        latency_buffer_size: round trips that the latency statistics look back on.
        record_to: a file to which all that comes and goes is appended, for
            `wsfleet.recording`; None records nothing.
        record_unsafe: whether `record_to` may be a symbolic link, a pipe or a device, or a file
            that another user owns or can write. Without it these are refused, which is logged
            as `recording.failed`; the client goes on without recording.
        debug: whether each message that passes is logged, at level DEBUG: its direction, kind
            and size, never what is in it.
        subprotocols: offered to the server, the preferred one first; never shown.
        compression: what permessage-deflate to offer (RFC 7692); True its defaults, False or
            None nothing.
        max_message_size: bytes of the largest inbound message, inflated; None sets no limit.
        ssl_context: for `wss://`; the default trusts certifi's roots.
        proxy: URL of an HTTP or SOCKS5 proxy.
        http_client: an `httpx.AsyncClient` of your own through which to connect; you close it.
        inbox_size: events held for iteration or for an async handler.
        inbox_bytes: what these events may take: the bytes of their messages, inflated, and 64
            for each; also bounds what is read, with "block", while an answer is awaited.
        overflow: what happens to more: "block", "drop_oldest", "drop_newest" or "fail".
        close_timeout: for the peer's goodbye.
        decode: "json", "raw" (text as str), or a function from str to anything.
        limiter: decides when a message may go out, such as `TokenBucket` or `SlidingWindow`;
            clients that share one share its budget. None limits nothing.
        limiter_timeout: for the limiter, for each message; 0.0 does not wait, None waits up to
            the request's timeout, or `request_timeout` where no response is awaited.
        connect_limiter: decides when a connection may be attempted; give the clients of a fleet
            one together.
        venue: how one subscribes, logs in and stays connected there; see `wsfleet.venues`.

    Raises:
        ConfigError: an option has a value that can never work.
    """

    url: str = field(repr=False)
    headers: HeadersLike = field(default=(), repr=False)
    timeout: float = 5.0
    max_redirects: int = 0
    cross_origin_login: bool = False
    retry_count: int | None = 3
    retry_delay: float = 1.0
    max_backoff: float = 30.0
    stable_after: float = 10.0
    reconnect_on_error: bool = True
    restore_subscriptions: bool = True
    heartbeat_interval: float = 30.0
    heartbeat: HeartbeatLike = _PING_PONG
    request_timeout: float = 30.0
    stall_after: float = 0.5
    latency_buffer_size: int = 100
    record_to: str | os.PathLike[str] | None = None
    record_unsafe: bool = False
    debug: bool = False
    subprotocols: Sequence[str] = field(default=(), repr=False)
    compression: Deflate | bool | None = True
    max_message_size: int | None = 16 * 1024 * 1024
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    http_client: httpx.AsyncClient | None = field(default=None, repr=False)
    inbox_size: int = 1024
    inbox_bytes: int = 64 * 1024 * 1024
    overflow: Overflow = "block"
    close_timeout: float = 5.0
    decode: DecodeLike = "json"
    limiter: Limiter | None = None
    limiter_timeout: float | None = 0.0
    connect_limiter: Limiter | None = None
    venue: Venue = JSON_RPC

    def __post_init__(self) -> None:
        check_url(self.url)
        object.__setattr__(self, "headers", checked_headers(self.headers))
        object.__setattr__(self, "subprotocols", checked_subprotocols(self.subprotocols))
        check_numbers(self, _POSITIVE, above_zero=True)
        check_numbers(self, _NOT_NEGATIVE, above_zero=False)
        check_counts(self, _COUNTS)
        check_path("record_to", self.record_to)
        self._check_choices()
        self._check_limits()
        self._check_ways()

    def _check_choices(self) -> None:
        if self.overflow not in _OVERFLOWS:
            raise ConfigError("overflow", f"must be one of {', '.join(_OVERFLOWS)}")
        if self.decode not in ("json", "raw") and not callable(self.decode):
            raise ConfigError(
                "decode", 'must be "json", "raw" or a function from str to anything'
            )
        # isinstance() of a Protocol takes longer than all the rest of this.
        if not all(callable(getattr(each, "run", None)) for each in self._own_heartbeats()):
            raise ConfigError(
                "heartbeat", "must be a heartbeat such as PingPong(), several, or None"
            )
        if not isinstance(self.venue, Venue):
            raise ConfigError("venue", "must be a Venue such as venues.deribit()")

    def _check_limits(self) -> None:
        for option in ("limiter", "connect_limiter"):
            limiter = getattr(self, option)
            if limiter is not None and not isinstance(limiter, Limiter):
                raise ConfigError(option, "must be a limiter such as SlidingWindow, or None")
        if self.limiter_timeout is not None:
            check_number("limiter_timeout", self.limiter_timeout, above_zero=False)

    def _check_ways(self) -> None:
        if not isinstance(self.compression, Deflate | bool | None):
            raise ConfigError("compression", "must be True, False, None or a Deflate")
        check_ssl_context(self.ssl_context)
        check_http_client(self.http_client)
        if self.http_client is not None and (self.proxy or self.ssl_context):
            raise ConfigError(
                "http_client", "brings its own proxy and TLS settings: give them there"
            )
        if self.http_client is not None and self.max_redirects:
            raise ConfigError(
                "max_redirects",
                "must be 0 with http_client: its credentials are not ours to show",
            )
        if self.proxy is not None:
            check_proxy(self.proxy)

    @property
    def safe_url(self) -> str:
        """The URL without its secrets."""
        return redact_url(self.url)

    def __repr__(self) -> str:
        shown = (f for f in fields(self) if f.repr)
        rest = "".join(f", {f.name}={getattr(self, f.name)!r}" for f in shown)
        return f"Config(url={self.safe_url!r}{rest})"

    @classmethod
    def of(cls, url_or_config: str | Config, options: ClientOptions) -> Self:
        """
        Make one of a URL and options, or of another config with some options changed.

        Args:
            url_or_config: a URL, or the config to change.
            options: other fields of the config, by name.

        Raises:
            ConfigError: an option is unknown, or has a value that can never work.
        """
        try:
            if isinstance(url_or_config, cls) and not options:
                return url_or_config
            _check_names(options)
            if isinstance(url_or_config, Config):
                return replace(url_or_config, **options)  # type: ignore[return-value]
            return cls(url=url_or_config, **options)
        except Exception as exc:
            scrub(exc)  # frames of its traceback hold the options, as this one does
            del url_or_config, options
            raise

    def heartbeats(self) -> tuple[Heartbeat, ...]:
        """Return those of this and of the venue."""
        of_venue = () if self.venue.heartbeat is None else (self.venue.heartbeat,)
        return (*self._own_heartbeats(), *of_venue)

    def _own_heartbeats(self) -> tuple[Heartbeat, ...]:
        if self.heartbeat is None:
            return ()
        if isinstance(self.heartbeat, Sequence):
            return tuple(self.heartbeat)
        return (self.heartbeat,)

    def new_limiter(self) -> Limiter | None:
        """Return what limits the messages of one client."""
        if self.limiter is not None or self.venue.limiter is None:
            return self.limiter
        return self.venue.limiter()

    def endpoint(self) -> Endpoint:
        """Return what the wire needs of this."""
        compression = Deflate() if self.compression is True else self.compression or None
        return Endpoint(
            url=self.url,
            headers=tuple(self.headers),  # type: ignore[arg-type]
            timeout=self.timeout,
            max_redirects=self.max_redirects,
            logs_in=self.venue.login is not None or bool(self.venue.calls),
            cross_origin_login=self.cross_origin_login,
            subprotocols=tuple(self.subprotocols),
            compression=compression,
            max_message_size=self.max_message_size,
            ssl_context=self.ssl_context,
            proxy=self.proxy,
            http_client=self.http_client,
            text_factory=json_or_text if self.decode == "json" else decode_utf8,
        )


def _check_names(options: ClientOptions) -> None:
    if not _NAMES.issuperset(options):
        unknown = sorted(options.keys() - _NAMES)
        raise ConfigError(", ".join(unknown), "is not an option")


def _without_arguments(make: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor whose arguments are in no traceback of what it raises."""

    @functools.wraps(make)
    def make_config(self: Config, *args: Any, **options: Any) -> None:
        try:
            make(self, *args, **options)
        except Exception as exc:
            scrub(exc)
            del self, args, options
            raise

    return make_config


Config.__init__ = _without_arguments(Config.__init__)  # type: ignore[method-assign]
