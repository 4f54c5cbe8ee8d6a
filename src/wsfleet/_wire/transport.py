"""
An httpx transport that opens one httpcore connection for each upgrade.

httpcore's pool scans all its connections at each request and stops at a hundred; a WebSocket
never goes back into a pool, so there is none.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, cast

import anyio
import httpcore
import httpx

from .loops import on_asyncio
from .push import PushBackend

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterable, AsyncIterator, Iterable

_PUSH: Final = PushBackend()
_PULL: Final = httpcore.AnyIOBackend()

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_CLOSE_TIMEOUT: Final = 1.0
"""
Seconds for closing a socket whose upgrade failed; it says no goodbye, so it takes none of them.
"""


REAL_URL: Final = "wsfleet.url"
"""
Extension of a request that has its URL with all secrets: httpx logs the other one, and
httpcore's own extension for that would also be taken for a proxy's CONNECT.
"""


@functools.cache
def default_ssl_context() -> ssl.SSLContext:
    """
    Return the one context that all connections without an own one share: loading the roots
    takes 20 ms.
    """
    return httpx.create_ssl_context(trust_env=False)


class _Dialer(httpcore.AsyncNetworkBackend):
    """
    Opens one socket as the running event loop does it best, and remembers it.

    httpcore forgets a socket whose TLS handshake is cancelled.
    """

    def __init__(self) -> None:
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        backend = _PUSH if on_asyncio() else _PULL
        self._stream = await backend.connect_tcp(
            host, port, timeout, local_address, socket_options
        )
        return self._stream

    async def hang_up(self) -> None:
        """Close the socket, if there is one."""
        if self._stream is not None:
            with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
                await self._stream.aclose()


def real_url(request: httpx.Request) -> httpx.URL:
    """Return the URL that a request is for."""
    url: httpx.URL = request.extensions.get(REAL_URL, request.url)
    return url


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
        url = real_url(request)
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


class UpgradeTransport(httpx.AsyncBaseTransport):
    """
    Sends each request over a connection of its own, over HTTP/1.1.

    Network errors come out as the operating system and `ssl` raised them.
    """

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        self._ssl_context = ssl_context

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Connect, send the request and return the answer's head."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=real_url(request).raw_path,
        )
        dialer = _Dialer()
        connection = httpcore.AsyncHTTPConnection(
            origin=url.origin,
            ssl_context=self._context_for(url),
            network_backend=dialer,
        )
        try:
            answer = await connection.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=url,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except BaseException:
            await dialer.hang_up()
            raise
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer, connection),
            extensions=answer.extensions,
        )

    def _context_for(self, url: httpcore.URL) -> ssl.SSLContext | None:
        if url.scheme not in {b"wss", b"https"}:
            return None
        return self._ssl_context or default_ssl_context()


class _Body(httpx.AsyncByteStream):
    """The rest of an answer; closing it closes the connection that it came over."""

    def __init__(
        self, answer: httpcore.Response, connection: httpcore.AsyncHTTPConnection
    ) -> None:
        self._answer = answer
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in cast("AsyncIterable[bytes]", self._answer.stream):
            yield part

    async def aclose(self) -> None:
        await self._answer.aclose()
        await self._connection.aclose()
