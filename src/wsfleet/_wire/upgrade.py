"""
The HTTP of an upgrade: one request, over a connection of its own, over HTTP/1.1.

httpx's own way merges headers, cookies, authentication and redirects that an upgrade has not,
and httpcore's pool scans all its connections at each request and stops at a hundred; a
WebSocket never goes back into a pool. So there is neither, which halves the time of an upgrade.
"""

from __future__ import annotations

import functools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

import anyio
import httpcore
import httpx

from .loops import on_asyncio
from .push import PushBackend

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator

_PUSH: Final = PushBackend()
_PULL: Final = httpcore.AnyIOBackend()
_KEY_HEADER: Final = b"sec-websocket-key"

KEY: Final = "wsfleet.key"
"""Extension of an answer that has the `Sec-WebSocket-Key` which it answers."""


_CLOSE_TIMEOUT: Final = 1.0
"""
Seconds for closing a socket whose upgrade failed; it says no goodbye, so it takes none of them.
"""


parse_url: Final = functools.lru_cache(maxsize=256)(httpx.URL)
"""The parts of a URL; a fleet connects to few, again and again."""


@functools.cache
def default_ssl_context() -> ssl.SSLContext:
    """
    Return the one context that all connections without an own one share: loading the roots
    takes 20 ms.
    """
    return httpx.create_ssl_context(trust_env=False)


@functools.lru_cache(maxsize=8)
def upgrade_client(ssl_context: ssl.SSLContext | None) -> UpgradeClient:
    """
    Return the one client for all upgrades with this TLS context; it holds nothing, so that
    nobody has to close it.
    """
    return UpgradeClient(ssl_context)


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
        headers: httpx.Headers,
        **_: object,
    ) -> AsyncGenerator[httpx.Response]:
        """
        Connect, send the request and give the answer's head; closes what came with it.

        Cancelling it leaves no socket open.
        """
        parts = parse_url(url)
        if "host" not in headers:
            headers = httpx.Headers([(b"host", parts.netloc), *httpx.Headers(headers).raw])
        request = httpcore.Request(method, _target(parts), headers=headers.raw)
        answer = await self._send(parts, request)
        try:
            yield answer
        finally:
            await answer.aclose()

    async def _send(self, url: httpx.URL, request: httpcore.Request) -> httpx.Response:
        backend = _PUSH if on_asyncio() else _PULL
        host = url.raw_host.decode()
        socket = await backend.connect_tcp(host, request.url.origin.port)
        try:
            secure = url.scheme == "wss"
            stream = await socket.start_tls(self._context(), host) if secure else socket
            return await _exchange(stream, request)
        except BaseException:
            # httpcore forgets a socket whose TLS handshake is cancelled.
            with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
                await socket.aclose()
            raise

    def _context(self) -> ssl.SSLContext:
        context = self._ssl_context or default_ssl_context()
        context.set_alpn_protocols(["http/1.1"])
        return context


def _target(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )


async def _exchange(
    stream: httpcore.AsyncNetworkStream, request: httpcore.Request
) -> httpx.Response:
    connection = httpcore.AsyncHTTP11Connection(request.url.origin, stream)
    answer = await connection.handle_async_request(request)
    key = next((v.decode() for k, v in request.headers if k.lower() == _KEY_HEADER), None)
    return httpx.Response(
        answer.status,
        headers=answer.headers,
        stream=_Body(answer, connection),
        extensions={**answer.extensions, KEY: key},
    )


class _Body(httpx.AsyncByteStream):
    """The rest of an answer; closing it closes the connection that it came over."""

    def __init__(
        self, answer: httpcore.Response, connection: httpcore.AsyncHTTP11Connection
    ) -> None:
        self._answer = answer
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in cast("AsyncIterable[bytes]", self._answer.stream):
            yield part

    async def aclose(self) -> None:
        await self._answer.aclose()
        await self._connection.aclose()
