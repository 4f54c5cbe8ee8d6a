"""
The link on asyncio and uvloop: the event loop pushes bytes into us.

During the upgrade `PushStream` lets httpcore pull (it speaks HTTP that way). After it,
`PushLink.start` has the codec fed straight from the event loop: no task wakes up for a read,
none waits for a write.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import httpcore

from .dialing import open_socket
from .link import HIGH_WATER, LINK, LOW_WATER
from .transports import open_transport

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterable

    from .link import Taker

_UPGRADE_BUFFER: Final = 256 * 1024
"""Bytes that a server may send ahead of our reading them, until the upgrade is done."""

_READ_SIZE: Final = 256 * 1024
"""Bytes that are read at once."""


class _ReadBuffer:
    """Bytes that were just read, and whether somebody is at work on them."""

    __slots__ = ("busy", "view")

    def __init__(self) -> None:
        self.view: memoryview = memoryview(bytearray(_READ_SIZE))
        self.busy: bool = False


class _Shared(threading.local):
    """
    The one buffer into which all connections of a thread read: it is emptied in the same step
    that fills it, stays in the processor's cache, and costs an idle connection nothing.
    """

    def __init__(self) -> None:
        self.buffer = _ReadBuffer()


_shared: Final = _Shared()


class PushLink(asyncio.BufferedProtocol):
    """Satisfies `Link` over an asyncio transport."""

    __slots__ = (
        "_behind",
        "_detached",
        "_is_due",
        "_lost",
        "_paused",
        "_place",
        "_read",
        "_received",
        "_taker",
        "_transport",
        "_waiter",
        "full",
        "is_closing",
        "write",
    )

    pumped: ClassVar[bool] = False

    def __init__(self) -> None:
        self.full: bool = False
        # The transport's own, from the moment that there is one: two calls less for each send.
        self.write: Callable[[bytes], None]
        self.is_closing: Callable[[], bool]
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._read = _shared.buffer
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._behind = False  # whether `_catch_up` is to be called
        self._is_due = False  # whether the event loop will call it
        self._detached = False
        self._lost: tuple[Exception | None] | None = None
        self._taker: Taker | None = None
        self._place: memoryview | None = None

    # what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = opened = cast("asyncio.Transport", transport)
        self.write = opened.write
        self.is_closing = opened.is_closing
        opened.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's
        if self._taker is not None:
            try:
                self._place = place = self._taker.place()
            except Exception:  # noqa: BLE001 - no memory, say: feeding it then ends the connection
                place = None
            if place is not None:
                return place
        if self._read.busy:  # a handler runs an event loop inside of the running one
            self._read = _ReadBuffer()
        return self._read.view

    def buffer_updated(self, nbytes: int) -> None:
        if self._place is not None:
            self._let_go_of(self._place)
            self._place = None
            if self._taker is not None:
                self._taker.placed(nbytes)
            return
        read = self._read
        read.busy = True
        try:
            if self._taker is not None:
                self._taker.feed(read.view[:nbytes])
                if self._taker.behind:
                    self._fall_behind()
            else:
                self._collect(read.view[:nbytes])
        finally:
            read.busy = False

    @staticmethod
    def _let_go_of(place: memoryview) -> None:
        """Release a place, so that the message there can grow without being copied."""
        with suppress(BufferError):  # uvloop holds it until this call returns, and no longer
            place.release()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = (exc,)
        self._wake()
        if not self._behind:
            self._tell_lost()
        elif self._paused:
            self._catch_up_soon()

    def _tell_lost(self) -> None:
        taker, self._taker = self._taker, None  # no cycle is left behind
        if taker is not None:
            assert self._lost is not None
            taker.on_link_ended(self._lost[0])

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        if self._taker is not None:
            self._taker.on_writable()

    # what PushStream does with it, before the upgrade

    def transport(self) -> asyncio.Transport:
        """Return the transport; there is one from the moment that a connection was made."""
        assert self._transport is not None
        return self._transport

    def _collect(self, data: bytes | memoryview) -> None:
        self._received += data
        if len(self._received) > _UPGRADE_BUFFER:
            self.pause_reading()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def take(self, max_bytes: int) -> bytes:
        """Return up to `max_bytes` of what came, and b"" when nothing did."""
        data = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        self.resume_reading()
        return data

    def unread(self, data: bytes) -> None:
        """Put bytes back in front of those that came after them."""
        self._received[:0] = data

    @property
    def detached(self) -> bool:
        """Whether the HTTP machinery has let go of the socket."""
        return self._detached

    def detach(self) -> None:
        """Keep the socket when the HTTP machinery is closed."""
        self._detached = True

    async def wait_for_bytes(self) -> None:
        """Return once there are bytes to take, or there will be no more."""
        while not self._received and self._lost is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    # what a connection does with it

    def start(self, taker: Taker) -> None:
        self._taker = taker
        if self._received:
            taker.feed(self.take(len(self._received)))
            if taker.behind:
                self._fall_behind()
        if self._lost is not None and not self._behind:
            self._tell_lost()

    def _fall_behind(self) -> None:
        """Read no more, and let others run, before the rest of what was read is taken."""
        if not self._behind:
            self._behind = True
            if not self._paused and not self.is_closing():
                self.transport().pause_reading()
            self._catch_up_soon()

    def _catch_up_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._catch_up)

    def _catch_up(self) -> None:
        self._is_due = False
        if not self._behind or self._taker is None:
            return  # given up meanwhile
        if self._paused and self._lost is None:
            return  # until reading is resumed
        taker = self._taker
        taker.feed(b"")
        if taker.behind:
            self._catch_up_soon()
        else:
            self._let_go_on()

    def _let_go_on(self) -> None:
        if not self._behind:
            return
        self._behind = False
        if self._lost is not None:
            self._tell_lost()
        elif not self._paused and not self.is_closing():
            self.transport().resume_reading()

    def pause_reading(self) -> None:
        if not self._paused and not self.is_closing():
            self._paused = True
            if not self._behind:
                self.transport().pause_reading()

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            if self._behind:
                self._catch_up_soon()
            elif not self.is_closing():
                self.transport().resume_reading()

    def abort(self) -> None:
        self.transport().abort()
        self._let_go_on()  # what waits is lost with the socket

    def drop(self) -> None:
        """Close the socket, where a connection was made."""
        if self._transport is not None:
            self._transport.abort()

    async def pump(self) -> None:
        """Do nothing: the event loop does it."""

    async def aclose(self) -> None:
        """A socket is all that there is."""


class PushStream(httpcore.AsyncNetworkStream):
    """
    A `PushLink` as httpcore wants to see it, until a connection takes the link over.

    Its timeouts do nothing: one deadline is around the whole of an upgrade.

    Args:
        sock: connected; what is done first with it decides whether it speaks TLS.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._link: PushLink | None = None

    @property
    def link(self) -> PushLink:
        """What is below; there is one from the moment that something was done with it."""
        assert self._link is not None
        return self._link

    @property
    def is_detached(self) -> bool:
        """Whether a connection has taken over the link."""
        return self._link is not None and self._link.detached

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Return bytes, or b"" at the end and once the link was detached."""
        if self.link.detached:
            return b""
        await self.link.wait_for_bytes()
        return self.link.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Hand an upgrade request over; it is small enough not to wait for."""
        if self._link is None:
            self._link = await open_transport(PushLink, self._sock)
        self._link.write(buffer)

    async def aclose(self) -> None:
        """Drop the socket, unless it was detached: then it is not httpcore's to close."""
        if self._link is None:
            self._sock.close()
        elif not self._link.detached:
            self._link.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """
        Speak TLS; nothing was done with the stream before.

        Raises:
            ssl.SSLError: the certificate or the handshake was refused.
            OSError: the connection broke.
        """
        assert self._link is None
        made: list[PushLink] = []

        def make_link() -> PushLink:
            made.append(PushLink())
            return made[0]

        try:
            self._link = await open_transport(
                make_link, self._sock, ssl_context, server_hostname
            )
        except BaseException:
            # Cancelled in the moment in which TLS was ready, its transport would wait for the
            # peer to close, over a socket that is closed by then.
            for link in made:
                link.drop()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return the link, or what the transport knows under that name."""
        return self.link if info == LINK else self.link.transport().get_extra_info(info)


def is_detached(stream: httpcore.AsyncNetworkStream) -> bool:
    """Whether a connection has taken over the link below a stream: nothing is left to close."""
    return isinstance(stream, PushStream) and stream.is_detached


class PushBackend(httpcore.AsyncNetworkBackend):
    """
    Opens `PushStream`s; httpcore takes it where it would take its own.

    Its timeouts do nothing: one deadline is around the whole of an upgrade.
    """

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """
        Connect.

        Raises:
            OSError: the name did not resolve (`socket.gaierror`), or nobody answered.
        """
        sock = await open_socket(host, port, local_address)
        for option in socket_options or ():
            sock.setsockopt(*option)
        return PushStream(sock)
