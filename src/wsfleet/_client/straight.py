"""
The straight way of a text message: it answers no request, and whoever takes events takes it at
once; in plain Python.

Rule 1: as few calls as can be; each would cost a tenth of the speed.
Rule 2: `native/delivery.c` has the twin of this class, which does the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .callables import refuse_coroutine
from .correlation import OWN
from .events import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from .correlation import Correlation
    from .events import Event


class StraightDelivery:
    """
    Delivers texts that answer no request; a subclass knows what to do with those that do.

    Args:
        correlation: the requests in flight.
        take: takes events; what it returns is looked at, as a coroutine would be a mistake.
        decode: makes of a text what is delivered (`on_undecoded`).
        crashed: called with whatever `take` let out.
    """

    __slots__ = ("_correlation", "_crashed", "_decode", "_take", "_waiting", "received")

    def __init__(
        self,
        correlation: Correlation,
        take: Callable[[Event], Any],
        decode: Callable[[str], Any] | None,
        crashed: Callable[[BaseException], None],
    ) -> None:
        self.received: int = 0
        self._correlation = correlation
        self._waiting = correlation.waiting
        self._take: Callable[[Event], Any] = take
        self._decode = decode
        self._crashed = crashed

    def on_json(self, data: Any) -> None:
        """Take a message that was decoded as JSON."""
        self.received += 1
        if type(data) is dict and data.get("id") is not None and self._answers(data):
            return
        try:
            result = self._take(Message(data))
            if result is not None:
                refuse_coroutine(result)
        except BaseException as exc:  # noqa: BLE001 - a user's code; it reaches the owner
            self._crashed(exc)

    def on_raw(self, text: str) -> None:
        """Take a text that stays one; only what may be a response is decoded, to see."""
        self.received += 1
        may_answer = self._waiting and '"id"' in text
        if (may_answer or (self._correlation.asked and OWN in text)) and self._resolve(text):
            return
        try:
            result = self._take(Message(text))
            if result is not None:
                refuse_coroutine(result)
        except BaseException as exc:  # noqa: BLE001 - a user's code; it reaches the owner
            self._crashed(exc)

    def on_undecoded(self, text: str) -> None:
        """Take a text that the user decodes, unless it is a response."""
        self.received += 1
        may_answer = self._waiting and '"id"' in text
        if (may_answer or (self._correlation.asked and OWN in text)) and self._resolve(text):
            return
        try:
            assert self._decode is not None
            data = self._decode(text)
        except BaseException as exc:  # noqa: BLE001 - a user's code; the text is not understood
            self._undecoded(text, exc)
            return
        try:
            result = self._take(Message(data))
            if result is not None:
                refuse_coroutine(result)
        except BaseException as exc:  # noqa: BLE001 - a user's code; it reaches the owner
            self._crashed(exc)

    # what a subclass does

    def _answers(self, data: dict[str, Any]) -> bool:
        """Whether a JSON object that has an id is a response, and was dealt with as one."""
        raise NotImplementedError

    def _resolve(self, text: str) -> bool:
        """Whether a text is a response to a request in flight, and was dealt with as one."""
        raise NotImplementedError

    def _undecoded(self, text: str, error: BaseException) -> None:
        """Deal with a text that `decode` failed to decode."""
        raise NotImplementedError
