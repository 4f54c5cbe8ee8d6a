"""One connection of a server that logs what it saw and can be harmed."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import time
from typing import TYPE_CHECKING, Any, Final

from .frames import (
    CLOSE,
    PING,
    PONG,
    Deflating,
    FrameError,
    FrameReader,
    accept_key,
    frame,
    text_message,
)
from .log import Answered, Link, Seen
from .messages import params_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .endpoint import Endpoint

_HEADERS_END: Final = b"\r\n\r\n"
_DRIP: Final = 0.001
"""Seconds between two pieces of an answer that drips."""
_FULL: Final = 256 * 1024
"""Bytes that wait to be written, above which no more events are sent."""


class Peer(asyncio.Protocol):
    """
    Speaks JSON-RPC over one connection.

    Args:
        endpoint: that accepted it.
        link: its entry in the log.
    """

    def __init__(self, endpoint: Endpoint, link: Link) -> None:
        self.link = link
        self.channels: dict[str, int] = {}
        self.dripping = False
        self._endpoint = endpoint
        self._head = bytearray()
        self._held = bytearray()
        self._frames = FrameReader()
        self._transport: asyncio.Transport
        self._silent = self._closed_by_client = self._close_sent = False
        self._sequence = 0
        self._queue = bytearray()
        self._drip: asyncio.Task[None] | None = None

    # the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._endpoint.peers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.link.ended = time.monotonic()
        self._endpoint.peers.discard(self)
        if self._drip is not None:
            self._drip.cancel()
        self.link.cut = self._frames.inside_frame

    def data_received(self, data: bytes) -> None:
        if self._silent:
            self._held += data  # what was read before the pause; it counts when that ends
        elif self.link.opened is not None:
            self._read(data)
        else:
            self._head += data
            if _HEADERS_END in self._head:
                head, _, rest = bytes(self._head).partition(_HEADERS_END)
                self._upgrade(head.decode("latin-1"))
                self._read(rest)

    def _upgrade(self, head: str) -> None:
        headers = {
            name.lower(): v for name, v in re.findall(r"(?m)^([\w-]+): *(.*?)\r?$", head)
        }
        self.link.client = headers.get("x-client", "")
        offered = "permessage-deflate" in headers.get("sec-websocket-extensions", "")
        if offered and self.link.number % 2:
            self._frames.deflating = Deflating()
        answer = self._endpoint.answer_upgrade(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(headers['sec-websocket-key'])}\r\n"
            f"{'' if self._frames.deflating is None else Deflating.HEADER}\r\n"
        )
        self._transport.write(answer.encode())
        if answer.startswith("HTTP/1.1 101") and answer.endswith("\r\n\r\n"):
            self.link.opened = time.monotonic()
            if self._endpoint.mode == "mute":
                self._harm()
        else:
            self._harm()
            if answer:
                self._transport.close()
            self._silent = True

    def _read(self, data: bytes) -> None:
        try:
            for opcode, payload in self._frames.feed(data):
                self._take(opcode, payload)
        except FrameError as error:
            self._complain(str(error))
            self._transport.abort()

    def _take(self, opcode: int, payload: bytes) -> None:
        if self._closed_by_client:
            self._complain(f"opcode {opcode} after the close frame")
        elif opcode == PING:
            self.write(frame(PONG, payload))
        elif opcode == CLOSE:
            self._closed_by_client = True
            if not self._close_sent:
                self.write(frame(CLOSE, payload))
            self._transport.close()
        elif opcode != PONG:
            self._take_message(payload)

    def _complain(self, what: str) -> None:
        self._endpoint.log.complaints.append(
            f"connection {self.link.number} of {self.link.client}: {what}"
        )

    # messages

    def _take_message(self, payload: bytes) -> None:
        try:
            message = json.loads(payload)
        except ValueError:
            self._complain(f"no JSON: {payload[:60]!r}")
            return
        match message["method"]:
            case "ask":
                self._take_request(message)
            case "subscribe" | "unsubscribe":
                self._respond(message, self._count_channels(message))
            case "state":
                state = {"channels": sorted(self.channels), "calm": self._endpoint.calm}
                self._respond(message, state)

    def _take_request(self, message: dict[str, Any]) -> None:
        params = message["params"]
        number = params["n"]
        seen = Seen(number, self.link.number, time.monotonic())
        self._endpoint.log.seen.append(seen)
        if params != params_of(number):
            self._complain(f"request {number} is damaged")
        if "id" in message and self._endpoint.mode != "mute":
            self._endpoint.answer(self, message["id"], number)

    def _count_channels(self, message: dict[str, Any]) -> list[str]:
        names: list[str] = message["params"]["channels"]
        for name in names:
            if message["method"] == "subscribe":
                self.channels[name] = self.channels.get(name, 0) + 1
            else:
                self.channels.pop(name, None)
        return names

    def _respond(self, message: dict[str, Any], result: object) -> None:
        if self._endpoint.mode != "mute":
            response = {"jsonrpc": "2.0", "id": message["id"], "result": result}
            self._write_text(json.dumps(response).encode())

    def send_answer(self, number: int, texts: Sequence[bytes], pieces: int) -> None:
        """Send an answer, among others, and log it when all of it is with the network."""
        written = [self._write_text(text, pieces) for text in texts]
        if all(written) and not self._transport.get_write_buffer_size():
            answered = Answered(number, self.link.number, time.monotonic())
            self._endpoint.log.answered.append(answered)

    def send_event(self) -> None:
        """Send the next event to a client that has subscribed to something."""
        if self.channels and not self._queue and self.usable and not self._is_full():
            params = {"connection": self.link.number, "sequence": self._sequence}
            self._sequence += 1
            event = {"jsonrpc": "2.0", "method": "subscription", "params": params}
            self._write_text(json.dumps(event).encode())

    def _is_full(self) -> bool:
        return self._transport.get_write_buffer_size() > _FULL

    # bytes

    def _write_text(self, text: bytes, pieces: int = 1) -> bool:
        # What is compressed is part of the context of what comes after it.
        return self.usable and self.write(text_message(text, self._frames.deflating, pieces))

    @property
    def usable(self) -> bool:
        """Whether anything can be written."""
        return not (self._silent or self._close_sent or self._transport.is_closing())

    def write(self, data: bytes) -> bool:
        """Write it, at once or piece by piece; whether all of it was written."""
        if not self.usable:
            return False
        if not self.dripping and not self._queue:
            self._transport.write(data)
            return True
        self._queue += data
        if self._drip is None or self._drip.done():
            self._drip = asyncio.create_task(self._write_slowly())
        return False

    async def _write_slowly(self) -> None:
        while self._queue and self.usable:
            size = max(1, len(self._queue) // 100) if self.dripping else len(self._queue)
            self._transport.write(bytes(self._queue[:size]))
            del self._queue[:size]
            await asyncio.sleep(_DRIP)

    # faults

    def _harm(self) -> None:
        if self.link.harmed is None:
            self.link.harmed = time.monotonic()

    def harm(self, kind: str, data: bytes) -> None:
        """Do what begins a fault; `data` is what it writes, where it writes something."""
        if self.link.ended is not None:
            return
        self._harm()
        if kind in {"close", "cut", "garbage", "close_silent"}:
            self._inject(kind, data)
        elif kind == "fin":
            self._transport.close()
        elif kind in {"freeze", "deaf"}:
            self._pause(silent=kind == "freeze")
        elif kind == "drip":
            self.dripping = True
        elif kind != "mute":
            self._reset()

    def heal(self, *, reset: bool) -> None:
        """Do what ends a fault."""
        if self.link.ended is not None:
            return
        if reset:
            self._reset()
        elif not self._close_sent:
            self._silent = self.dripping = False
            held, self._held = bytes(self._held), bytearray()
            self._read(held)
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _inject(self, kind: str, data: bytes) -> None:
        if self.usable:
            self._transport.write(data)
        if kind == "cut":
            self._transport.close()
        elif kind != "garbage":
            self._close_sent = True
        if kind == "close_silent":
            self._pause(silent=True)

    def _pause(self, *, silent: bool) -> None:
        self._silent = silent
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def _reset(self) -> None:
        if self._socket.fileno() != -1:
            linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()
