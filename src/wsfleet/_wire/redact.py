"""URLs as they may be shown: without userinfo and query values."""

from __future__ import annotations

import functools
from urllib.parse import urlsplit, urlunsplit

_HIDDEN = "***"


@functools.lru_cache(maxsize=256)  # a fleet connects to few, again and again
def redact_url(url: str) -> str:
    """Return `url` with its userinfo and the values of its query replaced by `***`."""
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    netloc = f"{_HIDDEN}@{host}" if at and userinfo else host
    return urlunsplit((parts.scheme, netloc, parts.path, _redact_query(parts.query), ""))


def _redact_query(query: str) -> str:
    # A piece without "=" may be a token by itself.
    pieces = (piece.partition("=") for piece in query.split("&") if piece)
    return "&".join(f"{name}={_HIDDEN}" if equals else _HIDDEN for name, equals, _ in pieces)
