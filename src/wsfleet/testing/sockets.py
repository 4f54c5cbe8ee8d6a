"""
What asyncio does not offer about sockets: a hard reset, and an end of listening that loses
none.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# l_onoff=1, l_linger=0: closing discards what is unsent and answers with RST (socket(7)).
_NO_LINGER: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


def reset(transport: asyncio.BaseTransport) -> None:
    """Close the connection under this transport with RST, which its peer sees as an error."""
    raw: socket.socket | None = transport.get_extra_info("socket")
    if raw is not None and raw.fileno() != -1:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


def listen(port: int) -> socket.socket:
    """Return a listening socket on 127.0.0.1; port 0 takes any that is free."""
    return socket.create_server(("127.0.0.1", port), backlog=4096)


async def stop_accepting(listeners: Iterable[socket.socket]) -> None:
    """
    Accept no more, and let those in that were accepted; to call before closing the server.

    asyncio never closes a socket that it accepted in the step in which its server closes.
    """
    for listener in listeners:
        asyncio.get_running_loop().remove_reader(listener.fileno())
    await asyncio.sleep(0)
