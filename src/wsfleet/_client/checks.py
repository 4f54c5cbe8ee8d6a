"""
What makes an option's value one that can work; each check raises `ConfigError` with its name.

Rule: an error never quotes a URL, a header's value or anything else that may be secret.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import os
import re
import ssl
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx

from wsfleet._wire.authority import BAD_PORT, authority_problem, has_possible_port
from wsfleet._wire.upgrade import parse_url
from wsfleet.errors import ConfigError

if TYPE_CHECKING:
    from .config import HeadersLike

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
# RFC 9110 section 5.5: no control characters, and no white space at either end.
_FIELD_VALUE: Final = re.compile(
    r"([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?"
)
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
_NO_BODY: Final = frozenset({"content-length", "transfer-encoding"})
_MOST: Final = sys.maxsize
"""The largest count: C has to take it as a size."""

LONGEST: Final = 100 * 365.25 * 24 * 3600
"""Seconds; the timers of every event loop can take as many."""

_UNLIMITED: Final = frozenset({"retry_count", "max_message_size"})
_FROM_ZERO: Final = frozenset({"retry_count", "max_redirects"})


def check_url(url: object) -> None:
    """Hold a URL to what a WebSocket can be opened to."""
    if not isinstance(url, str):
        raise ConfigError("url", f"must be a str, not {type(url).__name__}")
    if problem := _url_problem(url):
        raise ConfigError("url", problem)


@functools.lru_cache(maxsize=256)  # a fleet connects to few, again and again
def _url_problem(url: str) -> str | None:
    try:
        split = urlsplit(url)
        parts = parse_url(url)
    except (ValueError, httpx.InvalidURL):  # their words may quote a password
        return "is not a valid URL (are user and password percent-encoded?)"
    if parts.scheme not in {"ws", "wss"}:
        return "must start with ws:// or wss://"
    if not has_possible_port(split):
        return f"has {BAD_PORT} (are user and password percent-encoded?)"
    if problem := authority_problem(parts):
        return problem
    if parts.fragment or url.endswith("#"):
        return "must have no #fragment (RFC 6455 section 3)"
    return None


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def checked_headers(headers: HeadersLike) -> tuple[tuple[str, str], ...]:
    """Return headers as pairs that HTTP allows."""
    if type(headers) is tuple and not headers:
        return ()  # as most clients have it
    checked = _pairs(headers)
    for number, (name, value) in enumerate(checked, 1):
        if not _matches(_TOKEN, name):  # it may hold the value, too
            raise ConfigError(
                "headers", f"has a name that HTTP does not allow: number {number}"
            )
        if name.lower() in _OWN_HEADERS:
            raise ConfigError("headers", f"must not have {name}: wsfleet sets it")
        if not _matches(_FIELD_VALUE, value):
            raise ConfigError("headers", f"has a value for {name} that HTTP does not allow")
        if name.lower() in _NO_BODY and value != "0":
            raise ConfigError("headers", f"must not have {name}: an upgrade has no body")
    if sum(name.lower() == "host" for name, _ in checked) > 1:
        raise ConfigError("headers", "has Host twice")
    return checked


def _pairs(headers: HeadersLike) -> tuple[tuple[str, str], ...]:
    try:
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        return tuple((name, value) for name, value in pairs)
    except (TypeError, ValueError):
        # Not chained: what cannot be unpacked may be a value.
        raise ConfigError(
            "headers", "must be a mapping of names to values, or pairs of both"
        ) from None


def checked_subprotocols(subprotocols: Sequence[str]) -> tuple[str, ...]:
    """Return subprotocols, each once."""
    if type(subprotocols) is tuple and not subprotocols:
        return ()  # as most clients have it
    if isinstance(subprotocols, str) or not isinstance(subprotocols, Iterable):
        raise ConfigError("subprotocols", "must be a sequence of names, such as a list")
    subprotocols = tuple(subprotocols)
    for number, name in enumerate(subprotocols, 1):
        if not _matches(_TOKEN, name):  # not quoted: it may be a token
            raise ConfigError(
                "subprotocols", f"has a name that HTTP does not allow: number {number}"
            )
    if len(set(subprotocols)) != len(subprotocols):
        raise ConfigError("subprotocols", "names one twice")
    return subprotocols


def check_numbers(config: object, options: Iterable[str], *, above_zero: bool) -> None:
    """Hold the options of these names to finite seconds."""
    for option in options:
        value = getattr(config, option)
        # Ordinary values first: a fleet makes as many configs as clients.
        if type(value) is not float or not 0.0 < value <= LONGEST:
            check_number(option, value, above_zero=above_zero)


def check_counts(config: object, options: Iterable[str]) -> None:
    """Hold the options of these names to whole numbers; None where one may be unlimited."""
    for option in options:
        value = getattr(config, option)
        if type(value) is not int or not 0 < value <= _MOST:
            check_count(option, value)


def check_number(option: str, value: object, *, above_zero: bool) -> None:
    """Hold a time to finite seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise ConfigError(option, f"must be a finite number of seconds, not {value!r}")
    if value < 0 or (above_zero and value == 0):
        bound = "more than 0" if above_zero else "0 or more"
        raise ConfigError(option, f"must be {bound} seconds, not {value!r}")
    if value > LONGEST:
        raise ConfigError(option, f"must be at most {LONGEST:.0f} seconds (100 years)")


def _is_finite(value: float) -> bool:
    return isinstance(value, int) or math.isfinite(value)


def check_count(option: str, value: object) -> None:
    """Hold a count to whole numbers; None where it may be unlimited."""
    if value is None and option in _UNLIMITED:
        return
    least = 0 if option in _FROM_ZERO else 1
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(option, f"must be a whole number from {least}, not {value!r}")
    if value > _MOST:
        raise ConfigError(option, f"must be at most {_MOST}")


def check_path(option: str, value: object) -> None:
    """Hold a path to what can name a file."""
    if value is None:
        return
    try:
        path = os.fsencode(value)  # type: ignore[arg-type]
    except (TypeError, UnicodeError):
        path = b""
    if not path or b"\0" in path or isinstance(value, bytes):
        raise ConfigError(option, f"must be the path of a file, not {value!r}")


def check_ssl_context(context: object) -> None:
    """Hold a TLS context to what a socket can be wrapped with."""
    if context is not None and not isinstance(context, ssl.SSLContext):
        raise ConfigError("ssl_context", "must be an ssl.SSLContext, or None")


def check_http_client(client: object) -> None:
    """Hold an HTTP client to what an upgrade can be sent with."""
    if client is not None and not isinstance(client, httpx.AsyncClient):
        raise ConfigError("http_client", "must be an httpx.AsyncClient, or None")


def check_proxy(proxy: str) -> None:
    """Hold a proxy to a URL that can be spoken to here."""
    try:
        url = httpx.Proxy(proxy).url
    except (ValueError, TypeError, AttributeError, httpx.InvalidURL):
        raise ConfigError("proxy", "must be an http://, https:// or socks5:// URL") from None
    if problem := authority_problem(url):
        raise ConfigError("proxy", problem)
    scheme = url.scheme
    if scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ConfigError(
            "proxy", 'needs the package "socksio" for SOCKS: pip install httpx[socks]'
        )
