"""
The client under test: what a user would write to echo, with wsfleet's default settings.

Three settings are not the default ones. Messages are of any size, as the suite's are large;
text stays text, as an echo must not decode it; and the client ends with its connection, as a
case is one.
"""

from __future__ import annotations

from typing import Final

import anyio

from wsfleet import Binary, ClientOptions, Message, connect
from wsfleet.errors import WsfleetError

SETTINGS: Final[ClientOptions] = {
    "max_message_size": None,
    "decode": "raw",
    "reconnect_on_error": False,
}
DEADLINE: Final = 600.0
"""Seconds for a case; the suite itself gives up after 480."""


async def echo(url: str) -> str | None:
    """
    Send back what comes until the server ends the connection; return what the client raised.

    Many cases end in an error, and rightly: the server broke the protocol. Which, the suite
    judges. What is no error of wsfleet's comes out.
    """
    try:
        with anyio.fail_after(DEADLINE):
            async with connect(url, **SETTINGS) as client:
                async for event in client:
                    if isinstance(event, (Message, Binary)):
                        await client.send_message(event.data)
    except (WsfleetError, TimeoutError) as error:
        return f"{type(error).__name__}: {error}"
    return None
