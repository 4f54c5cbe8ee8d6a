"""
A WebSocket server for tests: scripted replies, and failures on command.

Rule 1: it runs in a thread of its own, so tests on every event loop use it alike.
Rule 2: what is asserted has happened; waiting ends with an event and never by sleeping.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from .certificates import loopback_contexts
from .messages import check_expected, echo, encode, matches
from .owned import OwnedServer
from .scripted import Refusal, ScriptedServer, check_disconnect
from .sessions import HandlerSession

if TYPE_CHECKING:
    import ssl as tls
    from collections.abc import Callable, Mapping, Sequence

    from .messages import Expected, Handler, Payload, Sendable
    from .peer import Handshake
    from .scripted import Disconnect
    from .sessions import SessionFactory


class MockServer(OwnedServer):
    """
    A server on 127.0.0.1 that a test scripts, watches and breaks.

    Args:
        handler: called with each message, in order, and returns what to answer: a message, a
            list of messages or None; mappings go out as JSON. It may be async, and then runs on
            the server's own asyncio loop. What it raises is raised at the block's end.
            Without one, every message is sent back.
        session: for scripts with a memory, instead of a handler: a subclass of `MockSession`,
            or a callable that makes one for each connection.
        max_connections: how many may be open at once; further handshakes are refused with 429.
        ssl: True for TLS with a certificate made on the spot (connect with
            `client_ssl_context`; needs the extra `testing`), or a context of your own.
        subprotocols: those that the server speaks, most wanted first.
        compression: "deflate" to accept permessage-deflate, None to refuse it.
    """

    def __init__(
        self,
        handler: Handler | None = None,
        *,
        session: SessionFactory | None = None,
        max_connections: int | None = None,
        ssl: bool | tls.SSLContext = False,
        subprotocols: Sequence[str] | None = None,
        compression: Literal["deflate"] | None = None,
    ) -> None:
        super().__init__()
        if handler is not None and session is not None:
            raise TypeError("give MockServer a handler or a session, not both")
        self.client_ssl_context: tls.SSLContext | None = None
        if ssl is True:
            ssl, self.client_ssl_context = loopback_contexts()
        self._scheme = "wss" if ssl else "ws"
        self._server = ScriptedServer(
            session or partial(HandlerSession, handler=handler or echo),
            ssl or None,
            max_connections,
            subprotocols=subprotocols,
            compression=compression,
        )

    @property
    def url(self) -> str:
        """The address to connect to; it stays the same through `stop` and `start`."""
        return f"{self._scheme}://127.0.0.1:{self._server.port}"

    @property
    def received(self) -> list[Payload]:
        """Every message that clients sent, in order."""
        return self._server.seen.received

    @property
    def requests(self) -> list[Handshake]:
        """Every handshake, accepted or not, in order."""
        return self._server.seen.requests

    @property
    def connections(self) -> int:
        """How many connections are open at this moment."""
        return len(self._server.peers.opened)

    @property
    def accepted(self) -> int:
        """How many connections were opened in all."""
        return self._server.seen.accepted

    @property
    def refused(self) -> int:
        """How many handshakes were refused."""
        return self._server.seen.refused

    async def start(self) -> None:
        """Listen again after `stop`, on the same port."""
        await self._loop.call(self._server.start)

    async def stop(self) -> None:
        """Stop listening and reset every connection, as a killed process does."""
        await self._loop.call(self._server.stop)

    def refuse(
        self, status: int = 503, headers: Mapping[str, str] | None = None, times: int = 1
    ) -> None:
        """
        Answer the next handshakes with this status and these headers.

        Args:
            status: any HTTP status from 200 to 599.
            headers: for example `Retry-After` or `Location`.
            times: how many handshakes to refuse; 0 accepts again.

        Raises:
            ValueError: the status is none that can refuse.
        """
        if status not in range(200, 600):
            raise ValueError(f"{status} is no HTTP status that refuses a handshake")
        self._server.refusal = Refusal(status, headers or {}, times)

    def clear(self) -> None:
        """Forget the messages and handshakes of so far; `received` and `requests` are empty."""
        self._server.seen.received.clear()
        self._server.seen.requests.clear()

    async def inject_message(self, message: Sendable) -> None:
        """
        Send a message to every open connection, without waiting until they read it.

        Raises:
            TimeoutError: nobody was connected within a second.
        """
        await self._loop.call(self._server.inject, encode(message))

    async def simulate_disconnect(self, how: Disconnect = "normal") -> None:
        """
        End every open connection; the server goes on listening.

        Args:
            how: "normal" (1000), "going_away" (1001) or a close code to end it politely;
                "reset" for RST; "freeze" to neither read nor answer and keep the socket.

        Raises:
            TimeoutError: nobody was connected within a second.
            ValueError: there is no such way, or a server may not send this code.
        """
        check_disconnect(how)
        await self._loop.call(self._server.disconnect, how)

    async def wait_for_connections(self, count: int, timeout: float = 1.0) -> None:
        """
        Wait until exactly this many connections are open.

        Raises:
            TimeoutError: it did not happen within this many seconds.
        """
        try:
            await self.wait_until(lambda: self.connections == count, timeout)
        except TimeoutError:
            raise TimeoutError(
                f"{self.connections} connections are open after {timeout} s, not {count}"
            ) from None

    async def wait_until(self, condition: Callable[[], object], timeout: float = 1.0) -> None:
        """
        Wait until something holds that depends on this server.

        Args:
            condition: asked again whenever a client connects, sends, was answered or is gone;
                it runs on the server's own thread and must not wait.
            timeout: how long to wait, in seconds.

        Raises:
            TimeoutError: it did not hold within this many seconds.
        """
        try:
            await self._loop.call(self._server.peers.changes.wait_until, condition, timeout)
        except TimeoutError:
            raise TimeoutError(f"the condition did not hold within {timeout} s") from None

    async def assert_message_sent(self, expected: Expected, timeout: float = 1.0) -> Payload:
        """
        Wait until a client has sent a message, and return it.

        Args:
            expected: the whole message, a pattern to find in it, a part of its JSON object, or
                a callable that returns true for it.
            timeout: how long to wait, in seconds; one that came earlier counts, see `clear`.

        Raises:
            AssertionError: no such message came; the text shows those that did.
            TypeError: no message can be compared with what is expected.
        """
        check_expected(expected)
        try:
            await self.wait_until(lambda: self._find(expected), timeout)
        except TimeoutError:
            came = "\n".join(f"  {message!r}" for message in self.received) or "  nothing"
            raise AssertionError(
                f"no client sent {expected!r} within {timeout} s; what was received:\n{came}"
            ) from None
        return self._find(expected)[0]

    def _find(self, expected: Expected) -> list[Payload]:
        return [message for message in self.received if matches(expected, message)]

    def _script_failure(self) -> Exception | None:
        return self._server.failure
