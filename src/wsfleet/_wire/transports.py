"""
From a connected socket to a transport of asyncio's, with TLS or without.

TLS is that of `aiofastnet` where it is installed (the extra `speed`), else that of the event
loop itself. Without TLS its transports save a fiftieth of a round trip, and cost every idle
connection a fifth more memory: there the event loop's own are used.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .speedups import WANTED

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    Connect: TypeAlias = Callable[..., Awaitable[tuple[asyncio.BaseTransport, Any]]]

try:
    import aiofastnet
except ImportError:
    _fast: Connect | None = None
else:
    _fast = aiofastnet.create_connection if WANTED else None

P = TypeVar("P", bound=asyncio.BaseProtocol)

FAST: Final = _fast is not None
"""Whether TLS is aiofastnet's."""


async def open_transport(
    protocol_factory: Callable[[], P],
    sock: socket.socket,
    ssl_context: ssl.SSLContext | None = None,
    hostname: str | None = None,
) -> P:
    """
    Let the event loop have a socket; return the protocol, which was told of its transport.

    Args:
        protocol_factory: makes the protocol.
        sock: connected and non-blocking; it is closed with the transport, and also when this
            fails or is cancelled.
        ssl_context: for TLS, or None for none.
        hostname: of the server, for TLS.

    Raises:
        ssl.SSLError: the certificate or the handshake was refused.
        OSError: the connection broke.
    """
    loop = asyncio.get_running_loop()
    fast = None if ssl_context is None else _fast
    protocol: P
    try:
        if fast is not None:
            # On Windows it must see the kind of the loop.
            used = loop if sys.platform == "win32" else _FastLoop(loop)
            _, protocol = await fast(
                used, protocol_factory, sock=sock, ssl=ssl_context, server_hostname=hostname
            )
        else:
            _, protocol = await loop.create_connection(
                protocol_factory, sock=sock, ssl=ssl_context, server_hostname=hostname
            )
    except BaseException:
        if fast is None and not isinstance(loop, asyncio.BaseEventLoop):
            # uvloop closed it below Python (before 0.22 without a word, its issue 645): whoever
            # closes it again closes another connection's.
            sock.detach()
        raise
    return protocol


class _FastLoop:
    """
    An event loop for aiofastnet, without one of its reports.

    It reports a TLS handshake that the peer cut as an error that nobody handles, with the
    error's class in place of the error, which no exception handler expects. The caller of
    `open_transport` gets the error itself.

    Args:
        loop: does all else.
    """

    __slots__ = ("_loop",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an error that nobody handles."""
        if not isinstance(context.get("exception"), type):
            self._loop.call_exception_handler(context)
