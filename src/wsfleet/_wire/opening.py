"""
Opens a WebSocket: one upgrade through httpx-ws, under one deadline, with errors in our own
words.

httpx-ws sends the upgrade and hands the stream to a session class; ours only keeps what it was
given.
"""

from __future__ import annotations

import base64
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import anyio
import httpx
import httpx_ws

from wsfleet.errors import ConnectError

from .connection import Connection, Sink
from .exchange import KEY, Continued, Headers
from .handshake import Agreed, check_answer
from .link import LINK, Link
from .poll import PollLink
from .proxying import REAL_URL, UPGRADED, ProxyTransport
from .pull import PullLink
from .push import PushLink
from .redact import redact_url
from .redirects import check_other_origin, target_of
from .refusals import came_from_user_code, failure, keep_user_frames
from .scrub import scrub
from .upgrade import CLOSE_TIMEOUT, default_ssl_context, parse_url, upgrade_client

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Callable
    from typing import Self

    import httpcore

    from .deflate import Deflate

USER_AGENT: Final = "wsfleet"
_ALL: Final = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """
    What one connection is opened to, and how.

    Attributes:
        url: `ws://` or `wss://`; may carry secrets, so it is never shown.
        headers: sent with the upgrade; may carry secrets.
        timeout: seconds for the whole attempt: DNS, TCP, TLS and upgrade, redirects included.
        max_redirects: how many are followed in one attempt.
        subprotocols: offered, the preferred one first; may carry secrets.
        logs_in: whether a login follows, which no other origin may get after a redirect.
        cross_origin_login: whether another origin may get it, and secret subprotocols, all the
            same.
        compression: what permessage-deflate to offer, or None.
        max_message_size: bytes of the largest inbound message, or None.
        ssl_context: instead of the default one, which trusts certifi's roots.
        proxy: URL of an HTTP or SOCKS proxy.
        http_client: a client of the user's own, through which to connect.
        text_factory: what a text message becomes.
        connection: makes the connection; takes what `Connection` takes.
    """

    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    timeout: float
    max_redirects: int
    subprotocols: tuple[str, ...] = field(repr=False)
    compression: Deflate | None
    max_message_size: int | None
    ssl_context: ssl.SSLContext | None
    proxy: str | None = field(repr=False)
    http_client: httpx.AsyncClient | None
    text_factory: Callable[[bytes], Any]
    connection: Callable[..., Connection] = Connection
    logs_in: bool = False
    cross_origin_login: bool = False

    @property
    def shown(self) -> str:
        """The URL without its secrets."""
        return redact_url(self.url)


async def open_connection(endpoint: Endpoint, sink: Sink) -> Connection:
    """
    Connect, upgrade, and return a connection that has not begun to deliver.

    Raises:
        ConnectError: one of its kinds, whatever went wrong; nothing is left open.
        Exception: what code of the user's raised inside of `http_client`.

    Cancelling it leaves nothing open.
    """
    try:
        with anyio.fail_after(endpoint.timeout):
            return await _follow(endpoint, sink)
    except ConnectError:
        raise
    except Exception as exc:
        if endpoint.http_client is not None and came_from_user_code(exc):
            keep_user_frames(exc)
            raise
        told = isinstance(exc, httpx_ws.HTTPXWSException)  # all that it says
        cause = None if told else exc
        raise failure(exc, endpoint.shown, endpoint.timeout) from cause
    except anyio.get_cancelled_exc_class() as exc:
        scrub(exc)  # it becomes the context of a TimeoutError of the caller's
        raise


async def _follow(endpoint: Endpoint, sink: Sink) -> Connection:
    """Upgrade where the server sends us, so often as it may."""
    for _ in range(endpoint.max_redirects):
        try:
            return await _upgrade(endpoint, sink)
        except httpx_ws.WebSocketUpgradeError as exc:
            answer = exc.response
            target = target_of(answer.status_code, answer.headers, endpoint.url)
            if target is None:
                raise
            if not endpoint.cross_origin_login:
                check_other_origin(
                    target,
                    answer.status_code,
                    logs_in=endpoint.logs_in,
                    subprotocols=endpoint.subprotocols,
                )
        headers = endpoint.headers if target.same_origin else ()
        endpoint = replace(endpoint, url=target.url, headers=headers)
    return await _upgrade(endpoint, sink)


async def _upgrade(endpoint: Endpoint, sink: Sink) -> Connection:
    link: Link | None = None
    try:
        async with AsyncExitStack() as resources:
            session = await _enter(endpoint, resources)
            agreed = _agree(endpoint, session.answer)
            link = await _take_link(session, resources)
        return endpoint.connection(
            link,
            agreed,
            sink,
            max_message_size=endpoint.max_message_size,
            text_factory=endpoint.text_factory,
        )
    except BaseException:
        if link is not None:  # the HTTP machinery no longer closes the socket
            link.abort()
            with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                await link.aclose()
        raise


async def _enter(endpoint: Endpoint, resources: AsyncExitStack) -> _Upgraded:
    client, url, extensions = await _way(endpoint, resources)
    opener = httpx_ws.AsyncWebSocketClient(client, session_class=_Upgraded)
    return await resources.enter_async_context(
        opener.connect(
            url,
            list(endpoint.subprotocols) or None,
            headers=_headers(endpoint),
            extensions=extensions,
            follow_redirects=False,
            timeout=None,
        )
    )


async def _way(
    endpoint: Endpoint, resources: AsyncExitStack
) -> tuple[httpx.AsyncClient, str, dict[str, Any]]:
    """Return through which client to connect, what to tell it as the URL, and what beside."""
    if endpoint.http_client is not None:
        return endpoint.http_client, endpoint.url, {}
    if endpoint.proxy is None:
        return upgrade_client(endpoint.ssl_context), endpoint.url, {}
    context = endpoint.ssl_context or default_ssl_context()
    client = httpx.AsyncClient(
        transport=ProxyTransport(endpoint.proxy, context), trust_env=False
    )
    url = parse_url(endpoint.url)
    shown = redact_url(str(url.copy_with(userinfo=b"", query=None)))
    return await resources.enter_async_context(client), shown, {REAL_URL: url}


def _headers(endpoint: Endpoint) -> Headers | httpx.Headers:
    is_ours = endpoint.http_client is None and endpoint.proxy is None
    headers = Headers(endpoint.headers) if is_ours else _for_httpx(endpoint.headers)
    headers.setdefault("user-agent", USER_AGENT)
    if endpoint.compression is not None:
        headers.setdefault("sec-websocket-extensions", endpoint.compression.offer())
    if endpoint.http_client is None and "@" in endpoint.url:
        headers.setdefault("authorization", _basic_auth(parse_url(endpoint.url)))
    return headers


def _for_httpx(lines: tuple[tuple[str, str], ...]) -> httpx.Headers:
    """Encode the values as `Headers` does: httpx takes ASCII only where it is given a str."""
    return httpx.Headers(
        [(name.encode("ascii"), value.encode("latin-1")) for name, value in lines]
    )


def _basic_auth(url: httpx.URL) -> str:
    credentials = f"{url.username}:{url.password}".encode()
    return f"Basic {base64.b64encode(credentials).decode()}"


def _agree(endpoint: Endpoint, answer: httpx.Response) -> Agreed:
    return check_answer(
        status=answer.status_code,
        http_version=answer.extensions.get("http_version", b"HTTP/1.1"),
        headers=answer.headers,
        key=answer.extensions.get(KEY) or answer.request.headers["sec-websocket-key"],
        subprotocols=endpoint.subprotocols,
        offered_deflate=endpoint.compression,
    )


async def _take_link(session: _Upgraded, resources: AsyncExitStack) -> Link:
    """Take the bytes over from the HTTP machinery, which can go where the socket is ours."""
    link = session.stream.get_extra_info(LINK)
    if isinstance(link, PushLink):
        link.detach()  # from here on, reading gives what came with the answer, and no more
        link.unread(await session.stream.read(_ALL))
        return link
    plain = session.stream.plain_socket() if isinstance(session.stream, Continued) else None
    if isinstance(session.stream, Continued) and plain is not None:
        return PollLink(plain, session.stream, resources.pop_all())
    session.stream.get_extra_info(UPGRADED)
    return PullLink(session.stream, resources.pop_all())


class _Upgraded(httpx_ws.AsyncWebSocketSession):
    """Keeps what httpx-ws hands over, and does nothing with it."""

    def __init__(
        self, stream: httpcore.AsyncNetworkStream, *, response: httpx.Response, **_: object
    ) -> None:
        self.stream = stream
        self.answer = response

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        yield self
