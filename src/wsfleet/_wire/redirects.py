"""
Where an answer sends a client that asked for a WebSocket (RFC 9110 section 15.4).

Rule 1: never from `wss://` to `ws://`.
Rule 2: what the user gave for one origin is not shown to another: headers and userinfo are
left out; where a login, or a subprotocol that may carry a token, would follow, the redirect is
refused.
Rule 3: a URL to which nothing can connect, or which brings a user and password of its own, ends
the attempt: no socket is opened for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx

from .authority import BAD_PORT, authority_problem, has_possible_port
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
    there = _joined(here, location, status)
    if (here.scheme, there.scheme) == ("wss", "ws"):
        raise HandshakeError(
            "the server redirects from wss:// to ws://: never followed", status
        )
    same = _origin(there) == _origin(here) or _is_upgrade(here, there)
    if same:
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


def _joined(here: httpx.URL, location: str, status: int) -> httpx.URL:
    """Return the WebSocket URL of a location, without its fragment."""
    try:
        split = urlsplit(location)
        there = here.join(location)
        there = there.copy_with(scheme=_SCHEMES[there.scheme], fragment=None)
    except (httpx.InvalidURL, ValueError, KeyError):
        raise _impossible("is no WebSocket URL", status) from None
    if not has_possible_port(split):
        raise _impossible(f"has {BAD_PORT}", status)
    if problem := authority_problem(there):
        raise _impossible(problem, status)
    if there.userinfo and split.netloc:
        raise _impossible("has a user or a password (RFC 9110 section 4.2.4)", status)
    return there


def _impossible(problem: str, status: int) -> HandshakeError:
    return HandshakeError(
        f"the server redirects to a URL that {problem}", status, recoverable=True
    )


def _origin(url: httpx.URL) -> tuple[str, bytes, int]:
    return url.scheme, url.raw_host, url.port or _DEFAULT_PORTS[url.scheme]


def _is_upgrade(here: httpx.URL, there: httpx.URL) -> bool:
    """Whether it is the same host, by TLS, on the ports that belong to both."""
    host = here.raw_host
    return _origin(here) == ("ws", host, 80) and _origin(there) == ("wss", host, 443)
