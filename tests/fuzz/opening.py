"""
Answers of a server to an upgrade, given to a whole attempt to connect.

What must hold: the attempt gives a connection or a `ConnectError` that shows no secret, however
strange the answer; the connection ends by itself when the server closes; nothing reaches the
exception handler of the event loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import anyio
import msgspec

from wsfleet import Config
from wsfleet._wire.opening import open_connection
from wsfleet.errors import ConnectError

from .mutation import damage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random
    from typing import Self

    from wsfleet._wire.connection import Connection
    from wsfleet.testing import RawConnection

SECRET: Final = "s3cret"
ACCEPT: Final = b"@ACCEPT@"
PORT: Final = b"@PORT@"
"""Stand in an answer for what is known only when it is sent."""

_LIMIT: Final = 10.0
"""Seconds; nothing here waits for a deadline: this one tells of an attempt that hangs."""

_UPGRADED: Final = (
    b"HTTP/1.1 101 Switching Protocols",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Accept: " + ACCEPT,
)
_STATUSES: Final = (
    b"HTTP/1.1 200 OK",
    b"HTTP/1.0 101 Switching Protocols",
    b"HTTP/2 101",
    b"HTTP/1.1 099 ?",
    b"HTTP/1.1 999 ?",
    b"HTTP/1.1 1000 ?",
    b"HTTP/1.1 100 Continue",
    b"HTTP/1.1 103 Early Hints",
    b"HTTP/1.1 401 Unauthorized",
    b"HTTP/1.1 503 Busy",
    b"HTTP/1.1 204",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0",
    b"SSH-2.0-OpenSSH_9.6",
    b"",
)
_HEADERS: Final = (
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Content-Length: " + b"9" * 5000,
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"Retry-After: 3",
    b"Retry-After: Fri, 31 Dec 99999 23:59:59 GMT",
    b"Retry-After: \xb2",
    b"Sec-WebSocket-Protocol: v1",
    b"Sec-WebSocket-Protocol: \xff\xfe",
    b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99",
    b"Sec-WebSocket-Extensions: " + b",;=" * 100,
    b"Sec-WebSocket-Extensions: permessage-deflate",
    b"Content-Type: text/html; charset=\xff",
    b"Set-Cookie: a=\xff; expires=never",
    b"X-Long: " + b"y" * 70_000,
    b"X: " * 3000,
    b" folded",
    b"no colon",
    b": no name",
    b"\x00: \x00",
)
_LOCATIONS: Final = (
    b"/",
    b"",
    b"?" + SECRET.encode(),
    b"//127.0.0.1:" + PORT + b"/there",
    b"ws://127.0.0.1:99999/",
    b"ws://127.0.0.1:0/",
    b"ws://127.0.0.1:-80/",
    b"ws://127.0.0.1:" + b"1" * 5000 + b"/",
    b"http://user:" + SECRET.encode() + b"@127.0.0.1:" + PORT + b"/",
    b"ws://" + b"a" * 70 + b".example/",
    b"ws://" + b"a." * 200 + b"/",
    b"ws://..../",
    b"ws://xn--0.example/",
    b"ws://\xc3\xa4\xcc\x88\xe2\x80\x8d.example/",
    b"ws://\xff.example/",
    b"ws://[::1/",
    b"ws://[fe80::1%25lo]:1/",
    b"ws://[" + b":" * 300 + b"]/",
    b"ws://1.2.3.400/",
    b"ws://%00/",
    b"ftp://127.0.0.1/",
    b"javascript:alert(1)",
    b"\\\\127.0.0.1\\share",
    b"/" + b"x" * 60_000,
)
_FRAMES: Final = (b"", b"\x81\x02hi", b"\x89\x00" * 5000, b"\x88\x02\x03\xe8", b"\xff" * 50)
_OPTIONS: Final[tuple[Mapping[str, Any], ...]] = (
    {},
    {"compression": False, "subprotocols": ("v1", "v2")},
    {"max_message_size": 1, "decode": "raw"},
    {"max_message_size": (1 << 63) - 1, "headers": {"X-Name": "Andr\xe9"}},
)


class OpeningCase(msgspec.Struct, frozen=True, tag="opening"):
    """
    One attempt.

    Attributes:
        answer: the bytes that the server sends, and closes.
        cut: where to send in two writes.
        redirects: how many may be followed.
        options: which of the options to connect with.
    """

    answer: bytes
    cut: int
    redirects: int
    options: int

    @classmethod
    def make(cls, rng: Random) -> Self:
        """Make one up."""
        redirects = 0
        if rng.random() < 0.4:
            redirects = rng.randint(1, 3)
            lines = [b"HTTP/1.1 302 Found", b"Location: " + rng.choice(_LOCATIONS)]
        elif rng.random() < 0.6:
            lines = list(_UPGRADED)
        else:
            lines = [rng.choice(_STATUSES)]
        for _ in range(rng.choice((0, 0, 1, 2))):
            lines.insert(rng.randint(1, len(lines)), rng.choice(_HEADERS))
        answer = b"\r\n".join(lines) + b"\r\n\r\n" + rng.choice(_FRAMES)
        answer *= rng.choice((1, 1, 1, 2, 30))
        if not redirects and rng.random() < 0.5:  # a damaged location may be anybody's
            answer = damage(rng, answer)
        cut = rng.randrange(len(answer) + 1)
        return cls(answer, cut, redirects, rng.randrange(len(_OPTIONS)))

    def bytes_for(self, accept_key: bytes, port: int) -> tuple[bytes, bytes]:
        """Return what to send, in two parts."""
        answer = self.answer.replace(ACCEPT, accept_key).replace(PORT, b"%d" % port)
        return answer[: self.cut], answer[self.cut :]

    async def answer_to(self, raw: RawConnection, port: int) -> None:
        """Be the server of one connection."""
        await raw.read_request()
        for part in self.bytes_for(raw.accept_key, port):
            await raw.write(part)

    async def attempt(self, port: int) -> str:
        """Return in a word what came of it; raise when it is nothing that may be."""
        config = Config(
            url=f"ws://127.0.0.1:{port}/?key={SECRET}",
            max_redirects=self.redirects,
            **_OPTIONS[self.options],
        )
        with anyio.fail_after(_LIMIT):
            try:
                connection = await open_connection(config.endpoint(), _Nobody())
            except ConnectError as error:
                _check_words(f"{error!r} {error} {error.__cause__!r}")
                return "refused"
            await _use_up(connection)
        return "connected"

    def check(self) -> str:
        """Return in a word what came of it; raise when it is nothing that may be."""
        return asyncio.run(self._check())

    async def _check(self) -> str:
        told: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: told.append(context)
        )

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            from wsfleet.testing.raw import RawConnection  # noqa: PLC0415 - for this use only

            try:
                await self.answer_to(RawConnection(reader, writer), port)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            outcome = await self.attempt(port)
        assert not told, f"the event loop was told of {told}"
        return outcome


def _check_words(told: str) -> None:
    assert SECRET not in told, "the error shows a secret"


async def _use_up(connection: Connection) -> None:
    """Read to the end of a connection."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.pump)
        connection.start()
        await connection.ended()
        await connection.finish(1.0)
        tasks.cancel_scope.cancel()


class _Nobody:
    """Takes what arrives."""

    def on_text(self, data: Any) -> None: ...
    def on_binary(self, data: bytes) -> None: ...
    def on_pong(self, payload: bytes) -> None: ...
    def on_violation(self, reason: str) -> None: ...
