"""Upgrades through a proxy, without showing secrets to httpx's log."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

import httpx

from .alpn import check_alpn

if TYPE_CHECKING:
    from typing import Self

REAL_URL: Final = "wsfleet.url"
"""
Extension of a request that has its URL with all secrets: httpx logs the other one, and
httpcore's own extension for that would also be taken for a proxy's CONNECT.
"""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class ProxyTransport(httpx.AsyncBaseTransport):
    """
    Sends requests through a proxy: `wss://` through a tunnel, `ws://` as the proxy forwards it.

    Args:
        proxy: its URL.
        ssl_context: for the server behind it.
    """

    def __init__(self, proxy: str, ssl_context: ssl.SSLContext) -> None:
        self._context = _LentContext(ssl_context)
        self._inner = httpx.AsyncHTTPTransport(
            proxy=proxy, verify=self._context, trust_env=False
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request for its real URL, in the schemes that httpcore's proxies know."""
        url: httpx.URL = request.extensions[REAL_URL]
        scheme = "https" if url.scheme == "wss" else "http"
        forwarded = httpx.Request(
            request.method,
            url.copy_with(scheme=scheme, port=url.port or _DEFAULT_PORTS[scheme]),
            headers=request.headers,
            extensions=request.extensions,
        )
        try:
            answer = await self._inner.handle_async_request(forwarded)
        except Exception:
            self._context.check_alpn()  # says more than what HTTP/1.1 makes of HTTP/2
            raise
        self._context.check_alpn()
        return answer

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()


class _LentContext(ssl.SSLContext):
    """
    A user's TLS context whose ALPN stays as it is: httpcore sets it on every context that it
    uses.

    Args:
        lender: the user's.
    """

    _lender: ssl.SSLContext
    _opened: ssl.SSLObject | None

    def __new__(cls, lender: ssl.SSLContext) -> Self:
        """Make one; `ssl.SSLContext` takes another argument."""
        context = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        context._lender = lender
        context._opened = None
        return context

    def set_alpn_protocols(self, alpn_protocols: object) -> None:
        """Do nothing."""

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Open TLS by the context that was lent."""
        self._opened = self._lender.wrap_bio(*args, **options)
        return self._opened

    def check_alpn(self) -> None:
        """
        Hold the server behind the proxy to HTTP/1.1.

        Raises:
            AlpnError: it chose another protocol.
        """
        if self._opened is not None:
            check_alpn(self._opened)
