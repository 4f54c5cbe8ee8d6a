"""
TLS over a transport of asyncio's or uvloop's: by `aiofastnet` where it is installed (the extra
`speed`), else by the event loop itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from .speedups import WANTED

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    StartTls: TypeAlias = Callable[..., Awaitable[asyncio.Transport | None]]

try:
    import aiofastnet
except ImportError:
    _fast: StartTls | None = None
else:
    _fast = aiofastnet.start_tls if WANTED else None


FAST: Final = _fast is not None
"""Whether it is aiofastnet's."""


async def start_tls(
    transport: asyncio.Transport,
    protocol: asyncio.BaseProtocol,
    ssl_context: ssl.SSLContext,
    hostname: str | None,
) -> asyncio.Transport:
    """
    Speak TLS over a transport; return the transport for what is inside of it.

    Raises:
        ssl.SSLError: the certificate or the handshake was refused.
        OSError: the connection broke.
    """
    loop = asyncio.get_running_loop()
    if _fast is not None:
        secure = await _fast(loop, transport, protocol, ssl_context, server_hostname=hostname)
    else:
        secure = await loop.start_tls(
            transport, protocol, ssl_context, server_hostname=hostname
        )
    if secure is None:
        raise ConnectionResetError("the peer closed during the TLS handshake")
    return secure
