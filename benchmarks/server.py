"""
Echoes, floods on command, and answers requests: `python -m benchmarks.server`, which prints its
port.
"""

from __future__ import annotations

import asyncio
from typing import Any

from picows import WSListener, WSMsgType, ws_create_server

ANSWER = b'{"id":'


class Listener(WSListener):
    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            self.answer(transport, frame.msg_type, frame.get_payload_as_bytes())

    def answer(self, transport: Any, kind: Any, payload: bytes) -> None:
        if payload.startswith(b"FLOOD "):
            _, count, size = payload.split()
            for _ in range(int(count)):
                transport.send(WSMsgType.TEXT, b"x" * int(size))
        elif (at := payload.find(b'"id":')) >= 0:
            end = payload.index(b",", at)
            transport.send(kind, ANSWER + payload[at + 5 : end] + b',"result":1}')
        else:
            transport.send(kind, payload)


async def main() -> None:
    server = await ws_create_server(lambda _: Listener(), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
