"""
One open WebSocket, from its upgrade to the end of its socket.

Rule 1: messages go out whole, in one synchronous step; only waiting for room can be cancelled.
Rule 2: control frames are answered as they are read, before anybody sees a message.
Rule 3: how it ended is written once, in `ending`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio

from .decoder import Decoder
from .frames import CloseCode, Opcode, ProtocolViolation, close_payload
from .offering import PIECE
from .outbox import Outbox
from .signals import Latch, Turns
from .speedups import Offering, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from .deflate import Deflater
    from .handshake import Agreed
    from .link import Link


MOST_PONGS: Final = 64
"""
Pings of one read that are answered; RFC 6455 section 5.5.3 asks for the last only.
"""


class Sink(Protocol):
    """
    Who takes what arrives.

    Called from wherever bytes are read, so a method must not raise: what it calls may.
    """

    def on_text(self, data: Any) -> None:
        """Take a text message, as `text_factory` made it."""

    def on_binary(self, data: bytes) -> None:
        """Take a binary message."""

    def on_pong(self, payload: bytes) -> None:
        """Take a pong, asked for or not."""

    def on_violation(self, reason: str) -> None:
        """Take note that the peer broke the protocol; the connection ends after this call."""


@dataclass(frozen=True, slots=True)
class Ending:
    """
    Why a connection can no longer be used.

    Attributes:
        code: the peer's close code (1005 when its close frame had none), or None when it sent
            no close frame.
        reason: the peer's words, or what broke.
        clean: whether one side said goodbye as it should.
        error: what broke the socket, if anything did.
    """

    code: int | None
    reason: str
    clean: bool
    error: Exception | None = None


class Connection(Offering):
    """
    One open WebSocket over a link.

    Args:
        link: the bytes below.
        agreed: what the upgrade settled.
        sink: who takes what arrives.
        max_message_size: bytes above which an inbound message ends the connection with 1009, or
            None.
        text_factory: makes of a text message's bytes what the sink gets; raises
            `UnicodeDecodeError` where they are not UTF-8.

    Attributes:
        on_control: called after each ping and pong that was sent.
        on_ended: called when nothing can be sent any more.
    """

    __slots__ = (
        "_decoder",
        "_ended",
        "_gone",
        "_owed_pong",
        "_pings",
        "_room",
        "_sink",
        "behind",
        "on_binary",
        "on_control",
        "on_ended",
        "on_pong",
        "on_text",
        "paused",
        "pauses",
        "place",
        "reads",
        "subprotocol",
    )

    def __init__(
        self,
        link: Link,
        agreed: Agreed,
        sink: Sink,
        *,
        max_message_size: int | None,
        text_factory: Callable[[bytes], Any],
    ) -> None:
        super().__init__(link)
        self.subprotocol: str | None = agreed.subprotocol
        self.ending: Ending | None = None
        self.reads: int = 0
        self.pauses: int = 0
        self.paused: bool = False
        # The decoder calls the sink itself: a step less for each message.
        self.on_text: Callable[[Any], None] = sink.on_text
        self.on_binary: Callable[[bytes], None] = sink.on_binary
        self.on_pong: Callable[[bytes], None] = sink.on_pong
        self.on_control: Callable[[], None] | None = None
        self.on_ended: Callable[[], None] | None = None
        self._sink = sink
        deflate = agreed.deflate
        self._deflater: Deflater | None = None if deflate is None else deflate.deflater
        self._decoder = Decoder(
            self,
            max_message_size=max_message_size,
            text_factory=text_factory,
            inflater=None if deflate is None else deflate.inflater,
        )
        self._outbox: Outbox | None = None  # while a large message goes out
        self.place: Callable[[], memoryview | None] = self._decoder.place
        self.behind: bool = False
        self._pings: deque[bytes] | None = None  # of the present read, not answered yet
        self._owed_pong: bytes | None = None
        self._ended = Latch()
        self._gone = Latch()
        self._room = Turns()

    # sending

    @property
    def open(self) -> bool:
        """Whether a message can still be sent."""
        return self.ending is None and not self._is_closing()

    @property
    def decoder(self) -> Decoder:
        """What decodes the bytes that come; its `size` is that of the message delivered."""
        return self._decoder

    @property
    def pumped(self) -> bool:
        """Whether `pump` has to run for bytes to move."""
        return self._link.pumped

    @property
    def full(self) -> bool:
        """Whether the write buffer is above its high-water mark."""
        return self._link.full or self._outbox is not None

    @property
    def deflates(self) -> bool:
        """Whether messages, but for short ones, are compressed on their way out."""
        return self._deflater is not None

    def send(self, opcode: int, payload: bytes | str) -> None:
        """
        Hand over a message, whole; the caller has seen that the connection is `open`.

        Args:
            opcode: its kind.
            payload: its bytes (UTF-8 where it is a text); or the text itself, where it is of
                ASCII characters, more than `PIECE`.
        """
        deflater = self._deflater
        if deflater is None or len(payload) < deflater.threshold:
            self._send(opcode, payload)
        else:
            payload = payload.encode() if isinstance(payload, str) else payload
            self._send(opcode, deflater.deflate(payload), compressed=True)

    def _send(self, opcode: int, payload: bytes | str, *, compressed: bool = False) -> None:
        if len(payload) > PIECE:
            self._outbox = self._outbox or Outbox(self._link)
            self._outbox.add_large(opcode, payload, compressed=compressed)
            self._let_flow()
            return
        frame = encode(opcode, payload, compressed=compressed)  # type: ignore[arg-type]
        if self._outbox is None:
            self._link.write(frame)
        else:
            self._outbox.add(frame)

    def _let_flow(self) -> None:
        if self._outbox is not None and self._outbox.flow():
            self._outbox = None

    def ping(self, payload: bytes) -> None:
        """Send a ping (RFC 6455 section 5.5.2), if anything can still be sent."""
        if self.open:
            self._send_control(Opcode.PING, payload)

    def _send_control(self, opcode: Opcode, payload: bytes) -> None:
        self._send(opcode, payload)
        if self.on_control is not None:
            self.on_control()

    async def room(self) -> None:
        """
        Return once the write buffer has room, or the connection has ended. Cancelling it sends
        nothing.
        """
        if self._is_blocked():
            await self._room.wait(self._is_blocked)

    def _is_blocked(self) -> bool:
        return self.full and self.open

    # receiving

    def start(self) -> None:
        """Begin to deliver."""
        self._link.start(self)

    def pause_reading(self) -> None:
        """Take no more from the network; of what was read, the part at hand is delivered."""
        if self.paused:
            return
        self.paused = True
        self.pauses += 1
        self._link.pause_reading()

    def resume_reading(self) -> None:
        """Take from the network again."""
        self.paused = False
        self._link.resume_reading()

    def feed(self, data: bytes | memoryview) -> None:
        """Take what the link has read, or go on with what is left of it where there is none."""
        self.reads += 1
        try:
            self._decoder.feed(data)
        except ProtocolViolation as violation:
            self._violated(violation)
        except Exception as exc:  # noqa: BLE001 - must not get into the event loop
            self._broke(exc)
        except BaseException as exc:  # such as `SystemExit` of a task that goes on in this step
            self._broke(exc)
            raise
        if self._pings is not None:
            self._answer_pings()
        self.behind = self._decoder.behind

    def placed(self, size: int) -> None:
        """Take what the link has read into `place`."""
        self.reads += 1
        try:
            self._decoder.placed(size)
        except ProtocolViolation as violation:
            self._violated(violation)
        except Exception as exc:  # noqa: BLE001 - must not get into the event loop
            self._broke(exc)
        except BaseException as exc:  # such as `SystemExit` of a task that goes on in this step
            self._broke(exc)
            raise

    def _violated(self, violation: ProtocolViolation) -> None:
        self._sink.on_violation(violation.reason)
        self.fail(violation.code, violation.reason)

    def _broke(self, error: BaseException) -> None:
        """
        End the connection because of an error that nobody foresaw, a lack of memory say: where
        in the stream we are is not known any more. What it says may hold a message.
        """
        self._decoder.stop()
        reason = f"what came could not be read: {type(error).__name__}"
        goodbye = close_payload(CloseCode.INTERNAL_ERROR, "")
        known = error if isinstance(error, Exception) else None
        self._end(Ending(None, reason, clean=False, error=known), goodbye)

    def on_ping(self, payload: bytes) -> None:
        """
        Answer at the end of this read (RFC 6455 section 5.5.3): of many pings the latest
        `MOST_PONGS`, and on a full link the last one, once there is room.
        """
        if self._pings is None:
            self._pings = deque(maxlen=MOST_PONGS)
        self._pings.append(payload)

    def _answer_pings(self) -> None:
        pings, self._pings = self._pings, None
        if pings is None or not self.open:
            return
        if self.full:
            self._owed_pong = pings[-1]
            return
        self._link.write(b"".join([encode(Opcode.PONG, payload) for payload in pings]))
        if self.on_control is not None:
            for _ in pings:
                self.on_control()

    def on_close(self, code: int | None, reason: str) -> None:
        """
        Echo the peer's close frame (RFC 6455 section 5.5.1); the peer then closes the socket.
        """
        seen = CloseCode.NO_STATUS_RCVD if code is None else code
        self._end(Ending(seen, reason, clean=True), close_payload(code, ""))

    def on_writable(self) -> None:
        """Take note that a full link has room again."""
        try:
            self._let_flow()
        except Exception as exc:  # noqa: BLE001 - must not get into the event loop
            self._broke(exc)
        if self.full:
            return
        owed, self._owed_pong = self._owed_pong, None
        if owed is not None and self.open:
            self._send_control(Opcode.PONG, owed)
        self._room.tell()

    # ending

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Say goodbye, once; `finish` then waits for the peer's."""
        self._end(Ending(None, reason, clean=True), close_payload(code, reason))

    def fail(self, code: int, reason: str) -> None:
        """Say goodbye and listen no more (RFC 6455 section 7.1.7)."""
        self._decoder.stop()
        self._end(Ending(None, reason, clean=False), close_payload(code, reason))

    def abort(self, reason: str) -> None:
        """Give the socket up without a goodbye."""
        self._end(Ending(None, reason, clean=False))
        self._link.abort()

    def _end(self, ending: Ending, goodbye: bytes | None = None) -> None:
        if self.ending is not None:
            return
        self._answer_pings()  # nothing may follow the close frame
        self.ending = ending
        if goodbye is not None and not self._is_closing():
            try:
                self._say_goodbye(goodbye)
            except Exception:  # noqa: BLE001 - no memory for it, say
                self._link.abort()
            self.resume_reading()  # the peer's goodbye is to be heard
        self._ended.set()
        self._room.tell(all_of_them=True)
        if self.on_ended is not None:
            self.on_ended()

    def _say_goodbye(self, payload: bytes) -> None:
        self._send(Opcode.CLOSE, payload)

    def on_link_ended(self, error: Exception | None) -> None:
        what = (
            "the peer closed the socket"
            if error is None
            else f"{type(error).__name__}: {error}"
        )
        self._outbox = None
        self._end(Ending(None, what, clean=False, error=error))
        self._gone.set()

    # its life

    async def pump(self) -> None:
        """Move bytes until the socket has ended; only where the connection is `pumped`."""
        await self._link.pump()

    async def ended(self) -> Ending:
        """
        Return once nothing can be sent any more, and say why. Cancelling it changes nothing.
        """
        await self._ended.wait()
        assert self.ending is not None
        return self.ending

    async def finish(self, close_timeout: float) -> None:
        """
        Wait for the peer's goodbye, and free the socket.

        Args:
            close_timeout: seconds that the peer has; the socket is given up after them, and at
                once when this is cancelled.
        """
        try:
            with anyio.move_on_after(close_timeout):
                await self._gone.wait()
        finally:
            self._link.abort()
            with anyio.move_on_after(close_timeout, shield=True):
                await self._link.aclose()
