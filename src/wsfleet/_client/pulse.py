"""
What a heartbeat can do with a connection.

Rule: time in which we did not read says nothing against the peer.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from wsfleet._wire.signals import Changes, Latch

from .messages import result_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wsfleet._wire.connection import Connection

    from .dialogue import Dialogue
    from .heartbeat import HeartbeatRecord
    from .messages import Sendable

_KEPT: Final = 16
"""Messages kept for a heartbeat that does not take them."""


class Pulse:
    """
    What a heartbeat can do with a connection.

    Args:
        connection: the one to keep alive.
        dialogue: to talk over it.
        record: takes the round trips.
        interval: seconds, the client's `heartbeat_interval`.
        clock: the running loop's.
    """

    __slots__ = (
        "_awaited",
        "_clock",
        "_connection",
        "_dialogue",
        "_pong",
        "_record",
        "_taken",
        "_told",
        "interval",
    )

    def __init__(
        self,
        connection: Connection,
        dialogue: Dialogue,
        record: HeartbeatRecord,
        interval: float,
        clock: Callable[[], float],
    ) -> None:
        self.interval: float = interval
        self._connection = connection
        self._dialogue = dialogue
        self._record = record
        self._clock = clock
        self._awaited = b""
        self._pong: Latch | None = None
        self._taken: deque[Any] | None = None  # an idle connection does without
        self._told: Changes | None = None

    # frames

    async def ping(self, timeout: float) -> float | None:
        """
        Ping, and return the round trip in seconds, or None when the peer seems dead.

        It seems dead when for `timeout` seconds nothing came at all. Time in which we did not
        read is not counted, and a pong may wait behind data that still arrives.

        Args:
            timeout: seconds.
        """
        self._awaited = self._record.next_number().to_bytes(8)
        self._pong = Latch()
        sent_at = self._clock()
        self._connection.ping(self._awaited)
        if not await self._within(timeout, self._pong.wait, strict=False):
            return None
        return self.answered(sent_at)

    def on_pong(self, payload: bytes) -> None:
        """
        Take a pong; those that answer no ping of ours are ignored (RFC 6455 section 5.5.3).

        Args:
            payload: its application data.
        """
        if self._pong is not None and payload == self._awaited:
            self._pong.set()

    # messages

    async def ask(self, method: str, params: Any = None, *, timeout: float) -> Any:
        """
        Call a method (JSON-RPC 2.0) at once, whatever a limiter says, and return its result.

        Args:
            method: its name.
            params: a mapping or a list; left out when None.
            timeout: seconds for the response. Time in which we did not read is not counted.

        Raises:
            JsonRpcError: the server answered with an error.
            TimeoutError: it did not answer in time.
            SendError: the connection has ended.
        """
        call = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            call["params"] = params
        sent_at = self._clock()
        answer = _Answer()
        with self._dialogue.asking():
            request_id = self._dialogue.say(call, answer.set)
            try:
                if not await self._within(timeout, answer.arrived.wait, strict=True):
                    raise TimeoutError
            finally:
                self._dialogue.forget(request_id)
        if isinstance(answer.value, Exception):
            raise answer.value
        self.answered(sent_at)
        return result_of(answer.value)

    def send(self, message: Sendable) -> None:
        """
        Send a message at once, whatever a limiter says.

        Args:
            message: as for `Client.send_message`; no answer is awaited.
        """
        self._dialogue.say(message)

    def take(self, data: Any) -> None:
        """
        Take a message that the heartbeat says is its own.

        Args:
            data: the message, decoded.
        """
        if self._taken is None:
            self._taken = deque(maxlen=_KEPT)
        self._taken.append(data)
        if self._told is not None:
            self._told.tell()

    async def next(self, timeout: float, *, strict: bool = False) -> Any:
        """
        Return the next message that the heartbeat `takes`, or None when the peer seems dead.

        While the write buffer is full it is held back: an answer to it could not go out.

        Args:
            timeout: seconds. Time in which we did not read is not counted.
            strict: whether the message itself must come in time; else the peer seems alive for
                as long as anything comes.
        """
        if not self._taken and not await self._within(timeout, self._arrival, strict=strict):
            return None
        if self._connection.full:  # answers to a peer that never reads would fill the memory
            await self._connection.room()
        assert self._taken is not None
        self._record.heard(self._clock())
        return self._taken.popleft()

    def forget(self) -> None:
        """Drop the messages that were not taken: they answer nothing any more."""
        if self._taken is not None:
            self._taken.clear()

    async def _arrival(self) -> None:
        if self._told is None:
            self._told = Changes()
        while not self._taken:
            await self._told.next()

    # time

    def now(self) -> float:
        """Return the event loop's time in seconds."""
        return self._clock()

    def answered(self, sent_at: float) -> float:
        """
        Take note of an answer; return the round trip in seconds.

        Args:
            sent_at: when the question was sent, as `now` told it.
        """
        now = self._clock()
        self._record.answered(now - sent_at, now)
        return now - sent_at

    async def _within(
        self, timeout: float, awaited: Callable[[], Awaitable[None]], *, strict: bool
    ) -> bool:
        connection = self._connection
        while True:
            reads, pauses = connection.reads, connection.pauses
            if await self._in_time(timeout, awaited):
                return True
            is_silent = strict or connection.reads == reads
            could_read = connection.pauses == pauses and not connection.paused
            if is_silent and could_read:
                return False

    async def _in_time(self, timeout: float, awaited: Callable[[], Awaitable[None]]) -> bool:
        deadline = self._dialogue.deadline(timeout)
        try:
            while not await deadline.wait(awaited):
                continue
        except TimeoutError:
            return False
        return True


class _Answer:
    """The response to a call, or the error that ended the waiting for it."""

    __slots__ = ("arrived", "value")

    def __init__(self) -> None:
        self.arrived = Latch()
        self.value: object = None

    def set(self, value: object) -> None:
        self.value = value
        self.arrived.set()
