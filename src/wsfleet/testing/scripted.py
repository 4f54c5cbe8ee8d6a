"""
The inside of `MockServer`: what runs on the server's own loop.

Rule 1: other threads read `seen` and the lengths of sets; they set `refusal`, and nothing else.
"""

from __future__ import annotations

import inspect
import logging
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from websockets.asyncio.server import broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response

from .messages import replies
from .peer import Handshake, Peer, Peers, peer_class
from .sessions import MockConnection
from .sockets import listen, stop_accepting

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from typing import Any

    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request

    from .messages import Payload
    from .sessions import MockSession, SessionFactory

Disconnect: TypeAlias = Literal["normal", "going_away", "reset", "freeze"] | int

CLOSE_TIMEOUT: Final = 1.0
_CONNECT_TIMEOUT: Final = 1.0
_CODES: Final = {"normal": 1000, "going_away": 1001}
_SENDABLE_CODES: Final = {*range(1000, 1004), *range(1007, 1015)}
_WAYS: Final = (*_CODES, "reset", "freeze")
_LOG: Final = logging.getLogger("wsfleet.testing")
_LOG.addHandler(logging.NullHandler())
_LOG.propagate = False  # failures are commanded here, and reported by the test


@dataclass(slots=True)
class Refusal:
    """How the next handshakes are refused."""

    status: int
    headers: Mapping[str, str]
    times: int

    @property
    def response(self) -> Response:
        """The answer to a handshake."""
        known = self.status in {each.value for each in HTTPStatus}
        phrase = HTTPStatus(self.status).phrase if known else "Refused"  # 520 and its like
        fields = Headers({"Content-Length": "0", "Connection": "close"} | dict(self.headers))
        return Response(self.status, phrase, fields, b"")


_TOO_MANY: Final = Refusal(HTTPStatus.TOO_MANY_REQUESTS, {}, 1)


@dataclass(slots=True)
class Seen:
    """What clients did."""

    received: list[Payload] = field(default_factory=list)
    requests: list[Handshake] = field(default_factory=list)
    accepted: int = 0
    refused: int = 0


def check_disconnect(how: Disconnect) -> None:
    """
    Refuse an end that no connection can have.

    Raises:
        ValueError: there is no such way, or no endpoint may send this code (RFC 6455 7.4).
    """
    if how in {"reset", "freeze"}:
        return
    code = close_code(how)
    if code not in _SENDABLE_CODES and not 3000 <= code <= 4999:  # noqa: PLR2004  RFC 6455 7.4.2
        raise ValueError(f"a server cannot close with code {code}")


def close_code(how: str | int) -> int:
    """Return the code of a polite end."""
    if isinstance(how, int):
        return how
    if how not in _CODES:
        raise ValueError(f"{how!r} is no way to disconnect: {', '.join(_WAYS)} or a close code")
    return _CODES[how]


class ScriptedServer:
    """A `websockets` server that keeps its port, notes what it sees and breaks on command."""

    def __init__(
        self,
        session: SessionFactory,
        ssl_context: ssl.SSLContext | None,
        max_connections: int | None = None,
        **options: object,
    ) -> None:
        self.seen: Seen = Seen()
        self.peers: Peers = Peers(self._end_session)
        self.max_connections: int | None = max_connections
        self.port: int = 0
        self.refusal: Refusal | None = None
        self.failure: Exception | None = None
        self._new_session = session
        self._sessions: dict[Peer, MockSession] = {}
        self._server: Server | None = None
        self._options: dict[str, Any] = {"ssl": ssl_context, **options}

    async def start(self) -> None:
        """Listen, on the port of the last time."""
        if self._server is not None:
            return
        listener = listen(self.port)
        self.port = listener.getsockname()[1]
        self._server = await serve(
            self._serve_peer,
            sock=listener,
            process_request=self._answer_request,
            process_response=self._note_response,
            create_connection=peer_class(self.peers),
            ping_interval=None,
            close_timeout=CLOSE_TIMEOUT,
            max_size=None,
            logger=_LOG,
            **self._options,
        )

    async def stop(self) -> None:
        """Stop listening and reset every socket."""
        server, self._server = self._server, None
        if server is not None:
            await stop_accepting(server.sockets)
            server.close(close_connections=False)
            for peer in tuple(self.peers.sockets):
                peer.reset()
            await server.wait_closed()

    async def inject(self, message: Payload) -> None:
        """Send to every open connection, once there is one."""
        broadcast(await self._opened(), message)

    async def disconnect(self, how: Disconnect) -> None:
        """End every open connection, once there is one."""
        for peer in await self._opened():
            if how == "reset":
                peer.reset()
            elif how == "freeze":
                peer.freeze()
            else:
                await peer.close(close_code(how))

    async def _opened(self) -> tuple[Peer, ...]:
        try:
            await self.peers.changes.wait_until(lambda: self.peers.opened, _CONNECT_TIMEOUT)
        except TimeoutError:
            raise TimeoutError(f"nobody connected within {_CONNECT_TIMEOUT:g} s") from None
        return tuple(self.peers.opened)

    def _answer_request(self, _: ServerConnection, request: Request) -> Response | None:
        self.seen.requests.append(Handshake.of(request))
        refusal = self._next_refusal()
        if refusal is None:
            return None
        self.seen.refused += 1
        return refusal.response

    def _next_refusal(self) -> Refusal | None:
        commanded = self.refusal
        if commanded is not None and commanded.times > 0:
            commanded.times -= 1
            return commanded
        limit = self.max_connections
        if limit is not None and len(self.peers.opened) >= limit:
            return _TOO_MANY
        return None

    def _note_response(
        self, connection: ServerConnection, _: Request, response: Response
    ) -> None:
        # Before the client sees the answer, so that it can count on being known here.
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            peer = cast(Peer, connection)
            with self._blamed():
                self._sessions[peer] = self._new_session(MockConnection(peer))
            self.seen.accepted += 1
            self.peers.opened.add(peer)
            self.peers.changes.note()

    async def _serve_peer(self, connection: ServerConnection) -> None:
        peer = cast(Peer, connection)
        session = self._sessions.get(peer)
        if session is None:
            return  # lost before it began
        with self._blamed():
            session.on_open()
        try:
            async for message in peer:
                self.seen.received.append(message)
                self.peers.changes.note()
                await self._answer(peer, session, message)
                self.peers.changes.note()
        except ConnectionClosed:
            pass  # the client went away while it was being answered

    async def _answer(self, peer: Peer, session: MockSession, message: Payload) -> None:
        with self._blamed():
            reply = session.on_message(message)
            answers = replies(await reply if inspect.isawaitable(reply) else reply)
        for answer in answers:
            if peer.frozen:
                return
            await peer.send(answer)

    def _end_session(self, peer: Peer) -> None:
        session = self._sessions.pop(peer, None)
        if session is None:
            return
        # What it raises is raised at the block's end; here it would keep the socket open.
        with suppress(Exception), self._blamed():
            session.on_close()

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        """Remember what the test's own code raises, to raise it in the test."""
        try:
            yield
        except Exception as error:
            self.failure = self.failure or error
            raise
