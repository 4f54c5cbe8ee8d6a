"""
URLs as they may be shown: without userinfo, query values, and path segments that look like
tokens. SECURITY.md states the rule for users.

Rule: redacting never raises; of a URL that cannot be parsed, only the scheme is shown.
"""

from __future__ import annotations

import functools
import re
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

_HIDDEN: Final = "***"
_MAX_DECODINGS: Final = 3
"""Layers of percent-encoding that are removed before a text is judged."""

_TOKENS: Final = re.compile(
    r"""
    (?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{16,}  # API keys, hexadecimal digits
    | [A-Za-z0-9]{32,}
    | (?<![0-9])[0-9]{20,}
    | [0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}  # UUIDs
    | (?<![A-Za-z])eyJ[A-Za-z0-9_-]{4,}  # JSON Web Tokens
    | \bbot[0-9]+:  # Telegram
    """,
    re.VERBOSE,
)
_BASE64: Final = re.compile(
    r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9+/_~-]{20,}={0,2}|[A-Za-z0-9+/_-]{8,}={1,2}"
)
_LONGEST_JUDGED: Final = 256
"""Characters above which a part is hidden without a look: no name is that long."""

_SECRET_NAMES: Final = frozenset(
    {
        "accesstoken",
        "apikey",
        "authtoken",
        "bearer",
        "jwt",
        "key",
        "listenkey",
        "passphrase",
        "password",
        "secret",
        "token",
    }
)
"""Names after which a path segment is a secret, in small letters and without separators."""

_SECRET_WORDS: Final = frozenset(
    {"access", "auth", "authentication", "basic", "jwt", "key", "session", "ticket"}
)
_SECRET_PARTS: Final = re.compile(
    "apikey|authoriz|bearer|credential|passphrase|password|secret|token"
)
_WORDS: Final = re.compile("[a-z]+")
_LONGEST_NAME: Final = 40


@functools.lru_cache(maxsize=256)  # a fleet connects to few, again and again
def redact_url(url: str) -> str:
    """Return `url` with its secrets replaced by `***`."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where what stands there may be half of a password
    except ValueError:
        scheme, separator, _ = url.partition("://")
        return f"{scheme}://{_HIDDEN}" if separator and scheme.isalnum() else _HIDDEN
    if not parts.netloc and "@" in url:
        return _HIDDEN
    userinfo, at, host = parts.netloc.rpartition("@")
    netloc = f"{_HIDDEN}@{host}" if at and userinfo else host
    path, query = _redact_path(parts.path), _redact_query(parts.query)
    return urlunsplit((parts.scheme, netloc, path, query, ""))


def looks_like_token(text: str) -> bool:
    """
    Tell whether a part of a URL is a secret by its shape: a long mixture of letters and digits,
    a UUID, a JSON Web Token, or base64.

    Args:
        text: the part, percent-encoded or not.
    """
    if len(text) > _LONGEST_JUDGED:
        return True
    plain = _decoded(text)
    if _TOKENS.search(plain) is not None:
        return True
    return any(_BASE64.fullmatch(piece) for piece in plain.split("."))


def may_be_secret(subprotocol: str) -> bool:
    """
    Tell whether a subprotocol may carry a token instead of naming a protocol: it is long, looks
    like a token, or has a word such as "bearer" or "auth".

    Args:
        subprotocol: one that is offered.
    """
    if len(subprotocol) > _LONGEST_NAME or looks_like_token(subprotocol):
        return True
    words = _WORDS.findall(subprotocol.lower())
    return (
        not _SECRET_WORDS.isdisjoint(words)
        or _SECRET_PARTS.search(subprotocol.lower()) is not None
    )


def _decoded(text: str) -> str:
    for _ in range(_MAX_DECODINGS):
        plain = unquote(text)
        if plain == text:
            break
        text = plain
    return text


def _redact_path(path: str) -> str:
    shown: list[str] = []
    previous = ""
    for segment in path.split("/"):
        is_named = bool(segment) and _squeezed(previous) in _SECRET_NAMES
        shown.append(_HIDDEN if is_named else _redact_segment(segment))
        previous = segment
    return "/".join(shown)


def _squeezed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", _decoded(name).lower())


def _redact_segment(segment: str) -> str:
    """Redact one segment and its parameters, as in `name;parameter=value`."""
    name, *parameters = segment.split(";")
    pieces = [_redact_name(name), *(_redact_piece(piece) for piece in parameters)]
    return ";".join(pieces)


def _redact_name(segment: str) -> str:
    plain = _decoded(segment)
    has_password = ":" in plain.rpartition("@")[0]  # of a URL inside of this one
    if has_password or looks_like_token(segment):
        return _HIDDEN
    return _redact_piece(segment) if "=" in plain else segment


def _redact_query(query: str) -> str:
    # Some servers split at ";", too; for others what follows it is a part of the value.
    return "&".join(_redact_piece(piece) for piece in query.split("&") if piece)


def _redact_piece(piece: str) -> str:
    """Redact `name=value`; a piece without a value may be a token by itself."""
    name, equals, value = piece.partition("=")
    # The padding of base64: one character where that makes the length a multiple of 4, or two.
    is_padding = not value.strip("=") and (value != "" or len(piece) % 4 == 0)
    if not equals or is_padding or ";" in name or looks_like_token(name):
        return _HIDDEN
    return f"{name}={_HIDDEN}"
