"""Upgrades through a proxy, without showing secrets to httpx's log."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

import httpcore
import httpx
from anyio.lowlevel import checkpoint

from .alpn import check_alpn
from .exchange import LONGEST_HEAD

if TYPE_CHECKING:
    from collections.abc import Iterable

REAL_URL: Final = "wsfleet.url"
"""
Extension of a request that has its URL with all secrets: httpx logs the other one, and
httpcore's own extension for that would also be taken for a proxy's CONNECT.
"""

_DEFAULT_PORTS: Final = {b"http": 80, b"https": 443}


_HEAD_READ: Final = 4096
"""Bytes that are read at once before the upgrade: httpcore parses a read without a pause."""

UPGRADED: Final = "wsfleet.upgraded"
"""Asking a stream for this says that what comes now is the WebSocket's."""

_STAND_IN: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""
Given to httpcore instead of the context of the user, and replaced by that when TLS begins:
httpcore sets the ALPN of the context that it is given.
"""


class ProxyTransport(httpx.AsyncBaseTransport):
    """
    Sends requests through a proxy: `wss://` through a tunnel, `ws://` as the proxy forwards it.

    Args:
        proxy: its URL.
        ssl_context: for the server behind it.
    """

    def __init__(self, proxy: str, ssl_context: ssl.SSLContext) -> None:
        self._pool = _new_pool(httpx.Proxy(proxy), ssl_context)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """
        Send the request for its real URL, in the schemes that httpcore's proxies know.

        Raises:
            Exception: what httpcore raises.
        """
        url: httpx.URL = request.extensions[REAL_URL]
        scheme = b"https" if url.scheme == "wss" else b"http"
        answer = await self._pool.handle_async_request(
            httpcore.Request(
                request.method,
                httpcore.URL(
                    scheme=scheme,
                    host=url.raw_host,
                    port=url.port or _DEFAULT_PORTS[scheme],
                    target=url.raw_path,
                ),
                headers=request.headers.raw,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close what is open."""
        await self._pool.aclose()


def _new_pool(proxy: httpx.Proxy, ssl_context: ssl.SSLContext) -> httpcore.AsyncConnectionPool:
    url = httpcore.URL(
        scheme=proxy.url.raw_scheme,
        host=proxy.url.raw_host,
        port=proxy.url.port,
        target=proxy.url.raw_path,
    )
    backend = _Backend(ssl_context)
    if proxy.url.scheme.startswith("socks"):
        return httpcore.AsyncSOCKSProxy(
            url, proxy_auth=proxy.raw_auth, ssl_context=_STAND_IN, network_backend=backend
        )
    return httpcore.AsyncHTTPProxy(
        url,
        proxy_auth=proxy.raw_auth,
        proxy_headers=proxy.headers.raw,
        ssl_context=_STAND_IN,
        network_backend=backend,
    )


class _Body(httpx.AsyncByteStream):
    """The body of an answer, which nobody reads; closing it closes the connection."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def aclose(self) -> None:
        await self._answer.aclose()


class _Backend(httpcore.AsyncNetworkBackend):
    """
    Opens `_Stream`s.

    Args:
        ssl_context: for the server behind the proxy.
    """

    def __init__(self, ssl_context: ssl.SSLContext) -> None:
        self._ssl_context = ssl_context

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the proxy."""
        stream = await httpcore.AnyIOBackend().connect_tcp(
            host, port, timeout, local_address, socket_options
        )
        return _Stream(stream, self._ssl_context)


class _Stream(httpcore.AsyncNetworkStream):
    """
    A stream through a proxy; until the upgrade it reads little at once, and no more than a head
    may take.

    Args:
        stream: the one below.
        ssl_context: for the server behind the proxy.
    """

    def __init__(
        self, stream: httpcore.AsyncNetworkStream, ssl_context: ssl.SSLContext
    ) -> None:
        self._stream = stream
        self._ssl_context = ssl_context
        self._size = 0
        self._upgraded = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """
        Read.

        Raises:
            httpcore.RemoteProtocolError: there was no answer within the bytes of a head.
        """
        if self._upgraded:
            return await self._stream.read(max_bytes, timeout)
        if self._size > LONGEST_HEAD:
            raise httpcore.RemoteProtocolError(f"no answer within {LONGEST_HEAD} bytes")
        await checkpoint()
        data = await self._stream.read(min(max_bytes, _HEAD_READ), timeout)
        self._size += len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """
        Speak TLS from here on, with the proxy or with the server behind it.

        Raises:
            AlpnError: the server chose another protocol than HTTP/1.1.
        """
        is_server = ssl_context is _STAND_IN
        context = self._ssl_context if is_server else ssl_context
        stream = await self._stream.start_tls(context, server_hostname, timeout)
        if is_server:
            check_alpn(stream.get_extra_info("ssl_object"))
        return _Stream(stream, self._ssl_context)

    def get_extra_info(self, info: str) -> Any:
        """Return what the stream below knows; `UPGRADED` lifts the bounds of a head."""
        if info == UPGRADED:
            self._upgraded = True
            return True
        return self._stream.get_extra_info(info)
