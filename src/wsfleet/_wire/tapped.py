"""
A connection that tells what passes over it: messages as they are on the wire, before anybody
decodes them, and goodbyes.

Rule: a connection that nobody taps is another class, and pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from .connection import Connection
from .frames import Opcode, close_payload

if TYPE_CHECKING:
    from .connection import Sink
    from .handshake import Agreed
    from .link import Link

Tap: TypeAlias = Callable[[str, Opcode, bytes], None]
"""Called with "in" or "out", what passed, and its payload; must not raise, and be quick."""


class TappedConnection(Connection):
    """
    One open WebSocket whose messages and goodbyes are told.

    Args:
        tap: told of each, before it is delivered or handed over.

    The others are those of `Connection`.
    """

    __slots__ = ("_tap",)

    def __init__(
        self,
        link: Link,
        agreed: Agreed,
        sink: Sink,
        *,
        tap: Tap,
        max_message_size: int | None,
        text_factory: Callable[[bytes], Any],
    ) -> None:
        super().__init__(
            link,
            agreed,
            sink,
            max_message_size=max_message_size,
            text_factory=_tapped_text(tap, text_factory),
        )
        self._tap = tap
        self.on_binary = _tapped_binary(tap, sink.on_binary)

    def offer(self, opcode: int, payload: str | bytes) -> bool:  # noqa: ARG002
        """Send nothing at once: what goes out is told first."""
        return False

    def send(self, opcode: int, payload: bytes | str) -> None:
        """Tell a message, and hand it over."""
        payload = payload.encode() if isinstance(payload, str) else payload
        self._tap("out", Opcode(opcode), payload)
        super().send(opcode, payload)

    def on_close(self, code: int | None, reason: str) -> None:
        """Tell the peer's goodbye, and echo it."""
        self._tap("in", Opcode.CLOSE, close_payload(code, reason))
        super().on_close(code, reason)

    def _say_goodbye(self, payload: bytes) -> None:
        self._tap("out", Opcode.CLOSE, payload)
        super()._say_goodbye(payload)


def _tapped_text(tap: Tap, text_factory: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def take(payload: bytes | bytearray) -> Any:
        payload = bytes(payload)
        data = text_factory(payload)  # what is not UTF-8 is no message
        tap("in", Opcode.TEXT, payload)
        return data

    return take


def _tapped_binary(tap: Tap, deliver: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def take(payload: bytes) -> None:
        tap("in", Opcode.BINARY, payload)
        deliver(payload)

    return take
