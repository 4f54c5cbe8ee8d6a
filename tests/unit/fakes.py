"""
A network in the hand: real connections over links in memory, with servers that obey the test.

Nothing in here waits but `FakeServer.hang`; time is virtual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import anyio
import msgspec

from wsfleet._wire.frames import Opcode, close_payload, parse_close
from wsfleet._wire.handshake import Agreed
from wsfleet._wire.masking import mask
from wsfleet.errors import ConnectRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsfleet._wire.connection import Connection, Sink
    from wsfleet._wire.link import Taker
    from wsfleet._wire.opening import Endpoint


def server_frame(opcode: int, payload: bytes) -> bytes:
    """Return a whole frame as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    return bytes((0x80 | opcode, 126)) + size.to_bytes(2) + payload


def client_frames(data: bytes) -> list[tuple[int, bytes]]:
    """Decode what a client wrote: whole masked frames, or the test fails."""
    frames = []
    while data:
        size, at = data[1] & 0x7F, 2
        assert data[1] & 0x80, "a client masks its frames"
        if size >= 126:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(data[2 : 2 + width]), 2 + width
        key, payload = data[at : at + 4], data[at + 4 : at + 4 + size]
        assert len(payload) == size, "a frame was written in part"
        frames.append((data[0] & 0x0F, mask(payload, key)))
        data = data[at + 4 + size :]
    return frames


class FakeLink:
    """The server's end of one connection, and the link that the client has of it."""

    pumped: ClassVar[bool] = False

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.full = False
        self.closing = False
        self.reading_paused = False
        self.received: list[tuple[int, bytes]] = []
        self.ended_with: Any = ()
        self._inbound: list[bytes] = []
        self._delivering = False
        self._taker: Taker | None = None

    # what the connection does with it

    def start(self, taker: Taker) -> None:
        self._taker = taker
        self._deliver()
        if self.closing:
            taker.on_link_ended(self.ended_with)

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        if self.closing:
            return
        for opcode, payload in client_frames(data):
            self.received.append((opcode, payload))
            self.server.on_frame(self, opcode, payload)

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False
        self._deliver()

    def abort(self) -> None:
        self._end(None)

    async def pump(self) -> None:
        """Nothing to pump."""

    async def aclose(self) -> None:
        """Nothing to free."""

    # what the test does with it

    def send_bytes(self, data: bytes) -> None:
        """Let raw bytes arrive, now or when reading goes on."""
        self._inbound.append(data)
        self._deliver()

    def send(self, message: Any) -> None:
        """Let a message arrive: str as text, bytes as binary, all else as JSON."""
        if isinstance(message, bytes):
            self.send_bytes(server_frame(Opcode.BINARY, message))
        else:
            text = (
                message if isinstance(message, str) else msgspec.json.encode(message).decode()
            )
            self.send_bytes(server_frame(Opcode.TEXT, text.encode()))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye; the socket is closed when the client's goodbye comes."""
        self.send_bytes(server_frame(Opcode.CLOSE, close_payload(code, reason)))

    def drop(self) -> None:
        """Reset the connection."""
        self._end(ConnectionResetError("reset by the test"))

    def fill(self) -> None:
        """Let the write buffer be above its high-water mark."""
        self.full = True

    def drain(self) -> None:
        """Let it have room again."""
        self.full = False
        if self._taker is not None:
            self._taker.on_writable()

    @property
    def texts(self) -> list[str]:
        """The text messages that the client sent."""
        return [payload.decode() for opcode, payload in self.received if opcode == Opcode.TEXT]

    @property
    def goodbye(self) -> tuple[int | None, str] | None:
        """The client's close frame."""
        for opcode, payload in self.received:
            if opcode == Opcode.CLOSE:
                return parse_close(payload)
        return None

    def _deliver(self) -> None:
        if self._delivering:
            return  # an answer to what is being delivered: it comes after it
        self._delivering = True
        while self._inbound and self._taker is not None and not self.reading_paused:
            self._taker.feed(self._inbound.pop(0))
            while self._taker.behind:
                self._taker.feed(b"")
        self._delivering = False

    def _end(self, error: Exception | None) -> None:
        if self.closing:
            return
        self.closing = True
        self.ended_with = error
        if self in self.server.open:
            self.server.open.remove(self)
        if self._taker is not None:
            self._taker.on_link_ended(error)


class FakeServer:
    """One endpoint: accepts, and answers as a healthy server does, unless told otherwise."""

    def __init__(self) -> None:
        self.open: list[FakeLink] = []
        self.links: list[FakeLink] = []
        self.attempts: list[float] = []
        self.refusals: list[Exception] = []
        self.down = False
        self.hang = False
        self.silent = False
        self.answer: Callable[[dict[str, Any]], Any] | None = None
        self.echo = False
        self.on_goodbye: Callable[[], None] = lambda: None

    def refuse(self, *errors: Exception) -> None:
        """Refuse the next attempts with these errors."""
        self.refusals.extend(errors)

    def die(self) -> None:
        """Reset all connections, and refuse others."""
        self.down = True
        for link in list(self.open):
            link.drop()

    def answer_all(self, result: Any) -> None:
        """Answer the requests of the latest connection, late."""
        for text in self.link.texts:
            self.link.send({"id": msgspec.json.decode(text)["id"], "result": result})

    @property
    def link(self) -> FakeLink:
        """The latest connection."""
        return self.links[-1]

    def on_frame(self, link: FakeLink, opcode: int, payload: bytes) -> None:
        """Do what a server does with a frame."""
        if self.silent:
            return
        if opcode == Opcode.PING:
            link.send_bytes(server_frame(Opcode.PONG, payload))
        elif opcode == Opcode.CLOSE:
            self.on_goodbye()
            link.send_bytes(server_frame(Opcode.CLOSE, payload))
            link._end(None)
        elif opcode == Opcode.TEXT:
            self._on_text(link, payload.decode())

    def _on_text(self, link: FakeLink, text: str) -> None:
        if self.echo:
            link.send(text)
        elif self.answer is not None and text.startswith("{"):
            request = msgspec.json.decode(text)
            result = self.answer(request)
            if result is not None:
                link.send({"id": request["id"], "result": result})


class FakeNetwork:
    """The `opener` of clients: leads each URL to a server of its own."""

    def __init__(self) -> None:
        self.servers: dict[str, FakeServer] = {}

    def server(self, url: str = "ws://fake/") -> FakeServer:
        """Return the server at a URL."""
        return self.servers.setdefault(url, FakeServer())

    async def __call__(self, endpoint: Endpoint, sink: Sink) -> Connection:
        """Connect."""
        server = self.server(endpoint.url)
        server.attempts.append(anyio.current_time())
        await anyio.lowlevel.checkpoint()
        if server.hang:
            await anyio.sleep_forever()
        if server.refusals:
            raise server.refusals.pop(0)
        if server.down:
            raise ConnectRefusedError(endpoint.url, "nobody listens")
        link = FakeLink(server)
        server.open.append(link)
        server.links.append(link)
        return endpoint.connection(
            link,
            Agreed(None, None),
            sink,
            max_message_size=endpoint.max_message_size,
            text_factory=endpoint.text_factory,
        )
