"""Host names and addresses: which of them belong together, and what a refusal proves."""

from __future__ import annotations

import errno
import functools
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from wsfleet.errors import (
    ConnectRefusedError,
    HandshakeRejectedError,
    SessionRejectedError,
    TlsError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANSWERS: Final = frozenset({errno.ECONNREFUSED, errno.ECONNRESET})
"""Errors that the other end sends; others are made by this machine or by a router."""


@functools.lru_cache(maxsize=256)  # a fleet connects to few, again and again
def host_of(url: str) -> str:
    """Return the host of a URL, in lower case."""
    return urlsplit(url).hostname or ""


@functools.lru_cache(maxsize=256)
def owner_of(host: str) -> str:
    """
    Return what unrelated hosts differ in: an address itself, or the last two labels of a name.
    """
    try:
        return str(ip_address(host))
    except ValueError:
        return ".".join(host.rstrip(".").split(".")[-2:])


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself, as far as its name tells."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def proves_network(host: str, error: Exception | None) -> bool:
    """
    Whether the outcome of an attempt proves that the network works.

    Args:
        host: what was to be connected to.
        error: what the attempt failed with, or None where it opened a connection.
    """
    if error is None or isinstance(
        error, HandshakeRejectedError | SessionRejectedError | TlsError
    ):
        return True
    if not isinstance(error, ConnectRefusedError) or is_loopback(host):
        return False  # this machine refuses for itself with or without a network
    return any(code in _ANSWERS for code in _codes(error))


def _codes(error: BaseException | None) -> Iterator[int | None]:
    while error is not None:
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _codes(inner)
        elif isinstance(error, OSError):
            yield error.errno
        error = error.__cause__ or error.__context__
