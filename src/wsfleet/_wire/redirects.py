"""
Where an answer sends a client that asked for a WebSocket (RFC 9110 section 15.4).

Rule 1: never from `wss://` to `ws://`.
Rule 2: what the user gave for one origin is not shown to another: headers and userinfo are
left out; where a login, or a subprotocol that may carry a token, would follow, the redirect is
refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx

from .handshake import HandshakeError
from .redact import may_be_secret, redact_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """
    Where to go.

    Attributes:
        url: `ws://` or `wss://`; may carry secrets.
        same_origin: whether it may be shown what was meant for where we come from.
    """

    url: str
    same_origin: bool


def target_of(status: int, headers: Mapping[str, str], came_from: str) -> Target | None:
    """
    Return where an answer leads, or None when it leads nowhere.

    Args:
        status: of the answer.
        headers: of the answer.
        came_from: the URL that was asked for.

    Raises:
        HandshakeError: it leads where nobody should follow.
    """
    location = headers.get("location")
    if location is None or status not in {301, 302, 303, 307, 308}:
        return None
    here = httpx.URL(came_from)
    try:
        there = here.join(location)
        scheme = _SCHEMES[there.scheme]
    except (httpx.InvalidURL, ValueError, KeyError):
        raise HandshakeError(
            "the server redirects to what is no WebSocket URL", status
        ) from None
    if (here.scheme, scheme) == ("wss", "ws"):
        raise HandshakeError(
            "the server redirects from wss:// to ws://: never followed", status
        )
    there = there.copy_with(scheme=scheme, fragment=None)
    same = _origin(there) == _origin(here) or _is_upgrade(here, there)
    if same and not there.userinfo:
        there = there.copy_with(userinfo=here.userinfo)
    return Target(str(there), same)


def check_other_origin(
    target: Target, status: int, *, logs_in: bool, subprotocols: Sequence[str]
) -> None:
    """
    Refuse a redirect to another origin that would be given a secret.

    Args:
        target: where the redirect leads.
        status: of the answer.
        logs_in: whether a login follows the upgrade.
        subprotocols: those that are offered.

    Raises:
        HandshakeError: another origin would be given a login, or what may be a token.
    """
    if target.same_origin:
        return
    if logs_in:
        what = "the login of this venue"
    elif any(may_be_secret(name) for name in subprotocols):
        what = "a subprotocol that may carry a token"
    else:
        return
    raise HandshakeError(
        f"the server redirects to another origin ({redact_url(target.url)}), which must not "
        f"get {what}: connect there, or set cross_origin_login=True",
        status,
    )


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or _DEFAULT_PORTS[url.scheme]


def _is_upgrade(here: httpx.URL, there: httpx.URL) -> bool:
    """Whether it is the same host, by TLS, on the ports that belong to both."""
    return _origin(here) == ("ws", here.host, 80) and _origin(there) == ("wss", here.host, 443)
