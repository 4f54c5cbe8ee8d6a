"""
The other side of every measurement, in a process of its own: `python -m benchmarks.server`.

Echoes; answers JSON-RPC requests; and sends many messages on command: the text
`FLOOD count size` asks for texts of one letter, `FRAGMENTS count size` for such texts in frames
of 4 KiB, `TICKER count size` for JSON. After `UPLOAD count size` it takes so many messages
before it answers.
Prints one line of JSON: the port, the TLS port, and the file with the TLS authority.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import picows
import trustme
import uvloop

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK: Final = 256 * 1024
"""Bytes handed to a socket at once: enough that the server is never what is measured."""

FRAGMENT: Final = 4096
"""Bytes in a frame of a fragmented message."""

LARGEST: Final = 2**27
"""Bytes of the largest frame that it takes."""

TICKER: Final = (
    b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"ticker.BTC-PERPETUAL.100ms",'
    b'"data":{"timestamp":1700000000000,"state":"open","best_bid_price":68123.5,'
    b'"best_ask_price":68124.0,"best_bid_amount":12030.0,"best_ask_amount":5510.0,'
    b'"last_price":68123.5,"mark_price":68120.13,"open_interest":912345670}}}'
)


find_id: Final = re.compile(rb'"id":[^,}]+').search


class Listener(picows.WSListener):
    """One connection."""

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.room.set()
        self.flood: asyncio.Task[None] | None = None
        self.awaited = 0

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()

    def on_ws_disconnected(self, _: Any) -> None:
        if self.flood is not None:
            self.flood.cancel()

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        kind = frame.msg_type
        payload = frame.get_payload_as_bytes()
        if kind == picows.WSMsgType.PING:
            transport.send_pong(payload)
        elif kind == picows.WSMsgType.CLOSE:
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()
        elif self.awaited:
            self.awaited -= 1
            if not self.awaited:
                transport.send(picows.WSMsgType.TEXT, b"done")
        elif payload.startswith(b"UPLOAD "):
            self.awaited = int(payload.split()[1])
        elif payload.startswith((b"FLOOD ", b"FRAGMENTS ", b"TICKER ", b"TYPED ")):
            self.flood = asyncio.create_task(self.send_many(transport, payload))
        elif (found := find_id(payload)) is not None:
            transport.send(kind, b'{"jsonrpc":"2.0",%b,"result":1}' % found[0])
        else:
            transport.send(kind, payload)

    async def send_many(self, transport: Any, command: bytes) -> None:
        name, count, size = command.split()
        message = on_the_wire(name, int(size))
        at_once = max(1, BLOCK // len(message))
        block = message * at_once
        left = int(count)
        while left:
            transport.underlying_transport.write(block[: left * len(message)])
            left -= min(left, at_once)
            await self.room.wait()


def on_the_wire(name: bytes, size: int) -> bytes:
    """Return the frames of the message that a command asks for."""
    if name in {b"TICKER", b"TYPED"}:
        return server_frame(TICKER)
    return fragments(b"x" * size) if name == b"FRAGMENTS" else server_frame(b"x" * size)


def fragments(payload: bytes) -> bytes:
    """Return a text in many frames."""
    frames = []
    for at in range(0, len(payload), FRAGMENT):
        frame = bytearray(server_frame(payload[at : at + FRAGMENT]))
        frame[0] = (1 if at == 0 else 0) | (0x80 if at + FRAGMENT >= len(payload) else 0)
        frames.append(frame)
    return b"".join(frames)


def server_frame(payload: bytes) -> bytes:
    """Return a text frame without a mask."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2) + payload
    return b"\x81\x7f" + size.to_bytes(8) + payload


@contextlib.contextmanager
def authority() -> Iterator[tuple[ssl.SSLContext, Path]]:
    """Give a server's TLS context, and the file with what clients are to trust."""
    root = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    root.issue_cert("127.0.0.1").configure_cert(context)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "authority.pem"
        root.cert_pem.write_to_path(str(file))
        yield context, file


async def main() -> None:
    with authority() as (context, file):
        ports = []
        for tls in (None, context):
            server = await picows.ws_create_server(
                lambda _: Listener(),
                "127.0.0.1",
                0,
                ssl=tls,
                backlog=4096,
                websocket_handshake_timeout=60,
                max_frame_size=LARGEST,
            )
            ports.append(server.sockets[0].getsockname()[1])
        print(json.dumps({"port": ports[0], "tls_port": ports[1], "ca": str(file)}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(main())
