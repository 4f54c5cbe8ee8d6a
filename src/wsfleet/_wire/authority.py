"""
Checks of a URL's host and port: those that a name server and a socket can take.

Without them a port above 65535 reaches another port (asyncio takes it modulo 65536), and a host
name with a label of 64 characters raises `UnicodeError` inside of the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    import httpx

_LARGEST_PORT: Final = 65535
_LONGEST_LABEL: Final = 63  # RFC 1035 section 2.3.4, as the next
_LONGEST_NAME: Final = 253


BAD_PORT: Final = f"a port that is no number from 1 to {_LARGEST_PORT}"


def has_possible_port(url: SplitResult) -> bool:
    """
    Whether a URL has no port, or one in decimal to which something can connect; httpx also
    takes "8_0", "+80" and "-1".
    """
    try:
        return url.port != 0
    except ValueError:
        return False


def authority_problem(url: httpx.URL) -> str | None:
    """Return why nothing can connect to the host and port of a URL, or None where it can."""
    if not url.raw_host:
        return "names no host"
    if url.port is not None and not 0 < url.port <= _LARGEST_PORT:
        return f"has {BAD_PORT}"
    try:
        host = url.host  # decodes the labels that begin with "xn--"
        name = url.raw_host.decode("ascii")
    except UnicodeError:
        return "has a host that is no valid international name (IDNA)"
    return None if ":" in host else _name_problem(name)


def _name_problem(name: str) -> str | None:
    """Judge a host name in ASCII, or an IPv4 address, which always passes."""
    labels = name.removesuffix(".").split(".")
    if not all(labels):
        return "has a host name with an empty label"
    if any(len(label) > _LONGEST_LABEL for label in labels):
        return f"has a host name with a label of more than {_LONGEST_LABEL} characters"
    if len(name.removesuffix(".")) > _LONGEST_NAME:
        return f"has a host name of more than {_LONGEST_NAME} characters"
    return None
