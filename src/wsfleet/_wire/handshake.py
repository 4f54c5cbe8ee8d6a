"""
The server's answer to an upgrade, judged (RFC 6455 section 4.1).

Rule: pure functions; no header value of the client's is ever part of an error.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from .deflate import ExtensionError, accept

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from .deflate import Deflate, Negotiated

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_SWITCHING_PROTOCOLS: Final = 101


class HandshakeError(ValueError):
    """
    The server's answer breaks RFC 6455, or leads where nobody should follow.

    Args:
        problem: in words.
        status: of the answer.
        recoverable: whether the server may answer better another time.
    """

    def __init__(
        self, problem: str, status: int = _SWITCHING_PROTOCOLS, *, recoverable: bool = False
    ) -> None:
        super().__init__(problem)
        self.status = status
        self.recoverable = recoverable


@dataclass(frozen=True, slots=True)
class Agreed:
    """What an upgrade settled."""

    subprotocol: str | None
    deflate: Negotiated | None


def accept_key(key: str) -> str:
    """Return the only right `Sec-WebSocket-Accept` for a key (section 4.2.2)."""
    digest = hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def check_answer(
    *,
    status: int,
    http_version: bytes,
    headers: httpx.Headers,
    key: str,
    subprotocols: Sequence[str],
    offered_deflate: Deflate | None,
) -> Agreed:
    """
    Judge the server's answer.

    Args:
        status: its HTTP status.
        http_version: of its status line.
        headers: its headers.
        key: the `Sec-WebSocket-Key` that was sent.
        subprotocols: those that were offered.
        offered_deflate: the compression that was offered, or None.

    Raises:
        HandshakeError: it is not the answer of a WebSocket server to this upgrade.
    """
    if status != _SWITCHING_PROTOCOLS:
        raise HandshakeError(f"the server answered {status} instead of 101")
    if http_version != b"HTTP/1.1":
        raise HandshakeError(
            f"the server answered in {http_version.decode('latin-1')}, which has no upgrades"
        )
    fields = _fields(headers)
    if not _names(fields, "upgrade", "websocket"):
        raise HandshakeError("the server switched to something that is not websocket")
    if not _names(fields, "connection", "upgrade"):
        raise HandshakeError("the server's Connection header does not say upgrade")
    if fields.get("sec-websocket-accept") != [accept_key(key)]:
        raise HandshakeError(
            "the server's Sec-WebSocket-Accept is missing or wrong: is it a WebSocket server?"
        )
    extensions = fields.get("sec-websocket-extensions")
    try:
        deflate = accept(", ".join(extensions) if extensions else None, offered_deflate)
    except ExtensionError as exc:
        raise HandshakeError(str(exc)) from exc
    return Agreed(_chosen_subprotocol(fields, subprotocols), deflate)


def _fields(headers: httpx.Headers) -> dict[str, list[str]]:
    """Return the values of each name, from one pass over the headers."""
    fields: dict[str, list[str]] = {}
    for name, value in headers.raw:
        fields.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return fields


def _names(fields: dict[str, list[str]], header: str, token: str) -> bool:
    values = ",".join(fields.get(header, ())).split(",")
    return any(value.strip().lower() == token for value in values)


def _chosen_subprotocol(fields: dict[str, list[str]], offered: Sequence[str]) -> str | None:
    chosen = fields.get("sec-websocket-protocol")
    if not chosen:
        return None
    if len(chosen) > 1 or chosen[0] not in offered:
        # Its name is not part of the error: the server may repeat a token that was offered.
        raise HandshakeError(
            f"the server chose a subprotocol that is none of the {len(offered)} offered ones"
        )
    return chosen[0]


def retry_after(headers: httpx.Headers, now: datetime) -> float | None:
    """
    Return the seconds that a server asks to wait (RFC 9110 section 10.2.3), or None where it
    asks for nothing.

    Args:
        headers: of its answer.
        now: against which a date is taken; aware.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])  # 30 years are enough, and fit a float
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the second for a year of many digits
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())
