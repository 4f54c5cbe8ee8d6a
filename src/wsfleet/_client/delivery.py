"""
What becomes of a message that came in: a response, an event for the handler, or an event for
the inbox.

Responses are told apart before any queue, so they never wait behind events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from .callables import is_async_callable, refuse_coroutine
from .events import Binary, Event, Gap, Handler, Message, ProtocolError, UnmatchedResponse
from .messages import decode_json_text, is_response, json_or_text, read_envelope
from .speedups import StraightDelivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from .config import DecodeLike
    from .correlation import Correlation
    from .inbox import Inbox


class Delivery(StraightDelivery):
    """
    Takes what a connection reads.

    Args:
        correlation: the requests in flight.
        inbox: where events go when no sync handler takes them at once.
        handler: a user's, or None.
        decode: what text becomes.
        crashed: called with whatever a handler let out.
        unread: called with `decode` when it fails, and with what it raised; returns whether the
            text is to be delivered as it is.
        ponged: called with the payload of each pong.
        watch: shown each text message, decoded; those that it takes are delivered to nobody.
    """

    __slots__ = (
        "_gap",
        "_plainly",
        "_tell",
        "_unread",
        "_unwatched",
        "_watch",
        "awaits_handler",
        "inbox",
        "on_pong",
        "on_text",
    )

    def __init__(
        self,
        correlation: Correlation,
        inbox: Inbox,
        handler: Handler | None,
        *,
        decode: DecodeLike,
        crashed: Callable[[BaseException], None],
        unread: Callable[[object, BaseException], bool],
        ponged: Callable[[bytes], None],
        watch: Callable[[Any], bool] | None,
    ) -> None:
        self.inbox: Inbox = inbox
        self.awaits_handler: bool = handler is not None and is_async_callable(handler)
        called_inline = handler is not None and not self.awaits_handler
        take: Callable[[Event], Any] = handler if called_inline else inbox.put  # type: ignore[assignment]
        super().__init__(correlation, take, decode if callable(decode) else None, crashed)
        self.received: int = 0
        self.on_pong: Callable[[bytes], None] = ponged
        self.on_text: Callable[[Any], None] = self.on_json
        if decode != "json":
            self.on_text = self.on_raw if decode == "raw" else self.on_undecoded
        self._unread = unread
        self._unwatched = self.on_text
        self._watch = watch
        if watch is not None:
            self.on_text = self._on_watched if decode == "json" else self._on_watched_text
        self._plainly = take
        self._tell: Callable[[Any], Any] = take if called_inline else inbox.insist
        self._gap: Callable[[], Gap] | None = None

    def _answers(self, data: dict[str, Any]) -> bool:
        request_id = data["id"]
        if "method" not in data and self._correlation.resolve(request_id, data):
            return True
        if not is_response(data):
            return False
        # One of ours that comes too late is no user's, and may hold a token.
        if not self._correlation.is_own(request_id):
            self._deliver(UnmatchedResponse(data))
        return True

    def _on_watched(self, data: Any) -> None:
        if not self._is_taken(data):
            self._unwatched(data)

    def _on_watched_text(self, text: str) -> None:
        """Decode each message for those who watch; the user gets it undecoded."""
        if not self._is_taken(json_or_text(text.encode())):
            self._unwatched(text)

    def _is_taken(self, data: Any) -> bool:
        """Show a message to who watches; whether it is for nobody else."""
        assert self._watch is not None
        taken = self._watch(data)
        self.received += taken
        return taken

    def _deliver(self, event: Event) -> None:
        self._call(self._take, event)

    def _call(self, take: Callable[[Event], Any], event: Event) -> None:
        try:
            result = take(event)
            if result is not None:
                refuse_coroutine(result)
        except BaseException as exc:  # noqa: BLE001 - a user's code; it reaches the owner
            self._crashed(exc)

    def _resolve(self, text: str) -> bool:
        """Whether it answers a request, and is for no handler; who awaits it gets it."""
        envelope = read_envelope(text)
        if envelope is None or envelope.method is not UNSET:
            return False
        if envelope.id in self._correlation:
            return self._correlation.resolve(envelope.id, decode_json_text(text))
        # One of ours that comes too late is no user's, and may hold a token.
        return envelope.is_response and self._correlation.is_own(envelope.id)

    def _undecoded(self, text: str, error: BaseException) -> None:
        if self._unread(self._decode, error):
            self._deliver(Message(text))

    def on_binary(self, data: bytes) -> None:
        """Deliver a binary message."""
        self.received += 1
        self._deliver(Binary(data))

    def await_gap(self, gap: Callable[[], Gap] | None) -> None:
        """Have a gap told before the next event; None has none told."""
        self._gap = gap
        self._take = self._plainly if gap is None else self._take_after_gap

    def tell_gap(self) -> None:
        """Tell it now, if it was not told yet."""
        gap, self._gap = self._gap, None
        if gap is not None:
            self._take = self._plainly
            self._call(self._tell, gap())

    def _take_after_gap(self, event: Event) -> Any:
        self.tell_gap()
        return self._take(event)

    def on_violation(self, reason: str) -> None:
        """Deliver the last event of a connection whose peer broke the protocol."""
        self._deliver(ProtocolError(reason))
