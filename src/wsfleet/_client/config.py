"""
What a client is told: frozen, and checked at birth.

Rule 1: a value that can never work is refused here, with the option's name.
Rule 2: neither the URL's secrets nor header values are ever shown, in a repr or in an error.
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypedDict, get_args
from urllib.parse import urlsplit

import httpx

from wsfleet._wire.deflate import Deflate
from wsfleet._wire.frames import decode_utf8
from wsfleet._wire.opening import Endpoint
from wsfleet._wire.redact import redact_url
from wsfleet._wire.upgrade import parse_url
from wsfleet.errors import ConfigError

from .heartbeat import Heartbeat, PingPong
from .inbox import Overflow
from .limits import Limiter
from .messages import json_or_text

if TYPE_CHECKING:
    import ssl
    from typing import Self

HeadersLike: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]
"""Header names and values; a name may come twice in a sequence."""

DecodeLike: TypeAlias = Literal["json", "raw"] | Callable[[str], Any]
"""What text becomes: decoded JSON, itself, or what a function makes of it."""

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 section 5.5
_OWN_HEADERS: Final = frozenset(
    {
        "connection",
        "upgrade",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
    }
)


_PING_PONG: Final = PingPong()


class ClientOptions(TypedDict, total=False):
    """Every option of `Config` except its URL, as keyword arguments; see there."""

    headers: HeadersLike
    timeout: float
    max_redirects: int
    retry_count: int | None
    retry_delay: float
    max_backoff: float
    stable_after: float
    reconnect_on_error: bool
    restore_subscriptions: bool
    heartbeat_interval: float
    heartbeat: Heartbeat | None
    request_timeout: float
    latency_buffer_size: int
    record_to: str | os.PathLike[str] | None
    debug: bool
    subprotocols: Sequence[str]
    compression: Deflate | bool | None
    max_message_size: int | None
    ssl_context: ssl.SSLContext | None
    proxy: str | None
    http_client: httpx.AsyncClient | None
    inbox_size: int
    overflow: Overflow
    close_timeout: float
    decode: DecodeLike
    limiter: Limiter | None
    limiter_timeout: float | None
    connect_limiter: Limiter | None


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
        retry_count: retries in a row before the client fails; None retries for ever.
        retry_delay: the longest wait before the first retry; it doubles with each.
        max_backoff: the longest wait before any retry.
        stable_after: how long a connection must have lasted for the count and the waits to
            start afresh.
        reconnect_on_error: False ends the client with its first connection.
        restore_subscriptions: reserved for subscriptions, which come with a later version.
        heartbeat_interval: between pings of the default heartbeat.
        heartbeat: what keeps a connection alive and finds a dead peer; None does neither.
        request_timeout: for the response to a request, waiting for a limiter and for room in
            the write buffer included.
        latency_buffer_size: round trips that the latency statistics look back on.
        record_to: a file to which all that comes and goes is appended, for
            `wsfleet.recording`; None records nothing.
        debug: reserved for logging each message; must be False.
        subprotocols: offered to the server, the preferred one first.
        compression: what permessage-deflate to offer (RFC 7692); True its defaults, False or
            None nothing.
        max_message_size: bytes of the largest inbound message, inflated; None sets no limit.
        ssl_context: for `wss://`; the default trusts certifi's roots.
        proxy: URL of an HTTP or SOCKS5 proxy.
        http_client: an `httpx.AsyncClient` of your own through which to connect; you close it.
        inbox_size: events held for iteration or for an async handler.
        overflow: what happens to more: "block", "drop_oldest", "drop_newest" or "fail".
        close_timeout: for the peer's goodbye.
        decode: "json", "raw" (text as str), or a function from str to anything.
        limiter: decides when a message may go out, such as `TokenBucket` or `SlidingWindow`;
            clients that share one share its budget. None limits nothing.
        limiter_timeout: for the limiter, for each message; 0.0 does not wait, None waits up to
            the request's timeout, or `request_timeout` where no response is awaited.
        connect_limiter: decides when a connection may be attempted; give the clients of a fleet
            one together.

    Raises:
        ConfigError: an option has a value that can never work.
    """

    url: str = field(repr=False)
    headers: HeadersLike = field(default=(), repr=False)
    timeout: float = 5.0
    max_redirects: int = 0
    retry_count: int | None = 3
    retry_delay: float = 1.0
    max_backoff: float = 30.0
    stable_after: float = 10.0
    reconnect_on_error: bool = True
    restore_subscriptions: bool = True
    heartbeat_interval: float = 30.0
    heartbeat: Heartbeat | None = _PING_PONG
    request_timeout: float = 30.0
    latency_buffer_size: int = 100
    record_to: str | os.PathLike[str] | None = None
    debug: bool = False
    subprotocols: Sequence[str] = ()
    compression: Deflate | bool | None = True
    max_message_size: int | None = 16 * 1024 * 1024
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    http_client: httpx.AsyncClient | None = field(default=None, repr=False)
    inbox_size: int = 1024
    overflow: Overflow = "block"
    close_timeout: float = 5.0
    decode: DecodeLike = "json"
    limiter: Limiter | None = None
    limiter_timeout: float | None = 0.0
    connect_limiter: Limiter | None = None

    def __post_init__(self) -> None:
        _check_url(self.url)
        object.__setattr__(self, "headers", _checked_headers(self.headers))
        object.__setattr__(self, "subprotocols", _checked_subprotocols(self.subprotocols))
        for option in _POSITIVE:
            _check_number(option, getattr(self, option), above_zero=True)
        for option in _NOT_NEGATIVE:
            _check_number(option, getattr(self, option), above_zero=False)
        for option in _COUNTS:
            _check_count(option, getattr(self, option))
        _check_path("record_to", self.record_to)
        self._check_choices()
        self._check_limits()
        self._check_reserved()
        self._check_ways()

    def _check_choices(self) -> None:
        if self.overflow not in get_args(Overflow):
            raise ConfigError("overflow", f"must be one of {', '.join(get_args(Overflow))}")
        if self.decode not in {"json", "raw"} and not callable(self.decode):
            raise ConfigError(
                "decode", 'must be "json", "raw" or a function from str to anything'
            )
        if self.heartbeat is not None and not isinstance(self.heartbeat, Heartbeat):
            raise ConfigError("heartbeat", "must be a heartbeat such as PingPong(), or None")

    def _check_limits(self) -> None:
        for option in ("limiter", "connect_limiter"):
            limiter = getattr(self, option)
            if limiter is not None and not isinstance(limiter, Limiter):
                raise ConfigError(option, "must be a limiter such as SlidingWindow, or None")
        if self.limiter_timeout is not None:
            _check_number("limiter_timeout", self.limiter_timeout, above_zero=False)

    def _check_reserved(self) -> None:
        # An option that is taken and does nothing would be a promise broken in silence.
        if self.debug:
            raise ConfigError("debug", "is reserved for a later version, and does nothing yet")

    def _check_ways(self) -> None:
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
            _check_proxy(self.proxy)

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
        unknown = options.keys() - ClientOptions.__annotations__.keys()
        if unknown:
            raise ConfigError(", ".join(sorted(unknown)), "is not an option")
        if isinstance(url_or_config, cls) and not options:
            return url_or_config
        if isinstance(url_or_config, Config):
            return replace(url_or_config, **options)  # type: ignore[return-value]
        return cls(url=url_or_config, **options)

    def endpoint(self) -> Endpoint:
        """Return what the wire needs of this."""
        compression = Deflate() if self.compression is True else self.compression or None
        return Endpoint(
            url=self.url,
            headers=tuple(self.headers),  # type: ignore[arg-type]
            timeout=self.timeout,
            max_redirects=self.max_redirects,
            subprotocols=tuple(self.subprotocols),
            compression=compression,
            max_message_size=self.max_message_size,
            ssl_context=self.ssl_context,
            proxy=self.proxy,
            http_client=self.http_client,
            text_factory=json_or_text if self.decode == "json" else decode_utf8,
        )


_POSITIVE: Final = ("timeout", "heartbeat_interval", "request_timeout", "close_timeout")
_NOT_NEGATIVE: Final = ("retry_delay", "max_backoff", "stable_after")
_COUNTS: Final = (
    "retry_count",
    "max_redirects",
    "latency_buffer_size",
    "inbox_size",
    "max_message_size",
)
_UNLIMITED: Final = frozenset({"retry_count", "max_message_size"})


def _check_url(url: object) -> None:
    if not isinstance(url, str):
        raise ConfigError("url", f"must be a str, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        port = parts.port
        parse_url(url)
    except (ValueError, httpx.InvalidURL):
        # Not chained: the parser's words may quote a password.
        raise ConfigError(
            "url", "is not a valid URL (are user and password percent-encoded?)"
        ) from None
    if parts.scheme not in {"ws", "wss"}:
        raise ConfigError("url", "must start with ws:// or wss://")
    if not parts.hostname:
        raise ConfigError("url", "names no host")
    if port == 0:
        raise ConfigError("url", "has port 0, to which nothing can connect")
    if parts.fragment or url.endswith("#"):
        raise ConfigError("url", "must have no #fragment (RFC 6455 section 3)")


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _checked_headers(headers: HeadersLike) -> tuple[tuple[str, str], ...]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    checked = tuple((name, value) for name, value in pairs)
    for name, value in checked:
        if not _matches(_TOKEN, name):
            raise ConfigError("headers", f"has a name that HTTP does not allow: {name!r}")
        if name.lower() in _OWN_HEADERS:
            raise ConfigError("headers", f"must not have {name}: wsfleet sets it")
        if not _matches(_FIELD_VALUE, value):
            raise ConfigError("headers", f"has a value for {name} that HTTP does not allow")
    return checked


def _checked_subprotocols(subprotocols: Sequence[str]) -> tuple[str, ...]:
    if isinstance(subprotocols, str):
        raise ConfigError("subprotocols", "must be a sequence of names, not one str")
    for name in subprotocols:
        if not _matches(_TOKEN, name):
            raise ConfigError("subprotocols", f"has a name that HTTP does not allow: {name!r}")
    if len(set(subprotocols)) != len(subprotocols):
        raise ConfigError("subprotocols", "names one twice")
    return tuple(subprotocols)


def _check_number(option: str, value: object, *, above_zero: bool) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
    ):
        raise ConfigError(option, f"must be a finite number of seconds, not {value!r}")
    if value < 0 or (above_zero and value == 0):
        bound = "more than 0" if above_zero else "0 or more"
        raise ConfigError(option, f"must be {bound} seconds, not {value!r}")


def _check_count(option: str, value: object) -> None:
    if value is None and option in _UNLIMITED:
        return
    least = 0 if option in {"retry_count", "max_redirects"} else 1
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(option, f"must be a whole number from {least}, not {value!r}")


def _check_path(option: str, value: object) -> None:
    if value is None:
        return
    try:
        path = os.fsencode(value)  # type: ignore[arg-type]
    except (TypeError, UnicodeError):
        path = b""
    if not path or b"\0" in path or isinstance(value, bytes):
        raise ConfigError(option, f"must be the path of a file, not {value!r}")


def _check_proxy(proxy: str) -> None:
    try:
        scheme = httpx.Proxy(proxy).url.scheme
    except (ValueError, httpx.InvalidURL):
        raise ConfigError("proxy", "must be an http://, https:// or socks5:// URL") from None
    if scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ConfigError(
            "proxy", 'needs the package "socksio" for SOCKS: pip install httpx[socks]'
        )
