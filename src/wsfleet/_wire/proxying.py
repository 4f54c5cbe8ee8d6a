"""Upgrades through a proxy, without showing secrets to httpx's log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    import ssl

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
        self._inner = httpx.AsyncHTTPTransport(proxy=proxy, verify=ssl_context, trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request for its real URL, in the schemes that httpcore's proxies know."""
        url: httpx.URL = request.extensions[REAL_URL]
        scheme = "https" if url.scheme == "wss" else "http"
        return await self._inner.handle_async_request(
            httpx.Request(
                request.method,
                url.copy_with(scheme=scheme, port=url.port or _DEFAULT_PORTS[scheme]),
                headers=request.headers,
                extensions=request.extensions,
            )
        )

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()
