"""
From a URL to the answer to an upgrade, over a socket of its own.

httpx's own way merges headers, cookies, authentication and redirects that an upgrade has not,
and httpcore's pool scans all its connections at each request and stops at a hundred; a
WebSocket never goes back into a pool. So there is neither, which halves the time of an upgrade.
"""

from __future__ import annotations

import functools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
import httpcore
import httpx

from .alpn import check_alpn
from .authority import authority_problem
from .exchange import exchange
from .loops import on_asyncio
from .push import PushBackend, is_detached

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator

    from .exchange import Headers

_PUSH: Final = PushBackend()
_PULL: Final = httpcore.AnyIOBackend()
_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}

CLOSE_TIMEOUT: Final = 1.0
"""
Seconds for closing a socket that was not taken over; it says no goodbye, so it takes none.
"""


parse_url: Final = functools.lru_cache(maxsize=256)(httpx.URL)
"""The parts of a URL; a fleet connects to few, again and again."""


@functools.lru_cache(maxsize=256)
def _target_of(url: str) -> tuple[httpx.URL, str, int]:
    """Return the parts of a URL, and the host and port that it is connected to."""
    parts = parse_url(url)
    if problem := authority_problem(parts):
        raise httpx.InvalidURL(f"it {problem}")
    return parts, parts.raw_host.decode(), parts.port or _DEFAULT_PORTS[parts.scheme]


@functools.cache
def default_ssl_context() -> ssl.SSLContext:
    """
    Return the one context that all connections without an own one share: loading the roots
    takes 20 ms.
    """
    context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])  # ours; a user's context keeps what it offers
    return context


@functools.cache
def _default_client() -> UpgradeClient:
    return UpgradeClient(None)


def upgrade_client(ssl_context: ssl.SSLContext | None) -> UpgradeClient:
    """
    Return a client for upgrades with this TLS context; it holds nothing else, so that nobody
    has to close it. A context of the user's is not kept: it may have a private key.
    """
    return _default_client() if ssl_context is None else UpgradeClient(ssl_context)


class UpgradeClient(httpx.AsyncClient):
    """
    What httpx-ws needs of an httpx client, and no more: `stream`.

    It keeps no state, so that one serves any number of connections on any event loop. Network
    errors come out as the operating system and `ssl` raised them.
    """

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        super().__init__(transport=httpx.AsyncBaseTransport(), trust_env=False)
        self._ssl_context = ssl_context

    @asynccontextmanager
    async def stream(  # type: ignore[override]
        self,
        method: str,
        url: str,
        *,
        headers: Headers,
        **_: object,
    ) -> AsyncGenerator[httpx.Response]:
        """
        Connect, send the request and give the answer's head; closes the socket at the end.

        Cancelling it leaves no socket open.
        """
        parts, host, port = _target_of(url)
        backend = _PUSH if on_asyncio() else _PULL
        socket = await backend.connect_tcp(host, port)
        try:
            stream = socket
            if parts.scheme == "wss":
                context = self._ssl_context or default_ssl_context()
                stream = await socket.start_tls(context, host)
                check_alpn(stream.get_extra_info("ssl_object"))
            yield await exchange(stream, method, parts, headers)
        finally:
            if not is_detached(socket):
                with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                    await socket.aclose()
