"""
Events on their way to whoever takes them, at most so many.

Rule 1: putting never waits; what a full inbox does is its overflow policy.
Rule 2: while nobody listens it keeps the newest events and drops the oldest, whatever the
policy: a client that is only sent through never stalls.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal, TypeAlias

import anyio
from anyio.lowlevel import checkpoint

from .events import Gap, join
from .fairness import BURST

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from .events import Event

Overflow: TypeAlias = Literal["block", "drop_oldest", "drop_newest", "fail"]
"""
What happens when an event finds the inbox full: reading from the network pauses until half of
it was taken (what was already read is kept on top), the oldest or the newest event is dropped,
or the client fails.
"""


class Inbox:
    """
    A bounded queue between the wire and its listeners.

    Args:
        size: events that it holds.
        overflow: what happens to more.
        pause: called when reading should pause ("block").
        resume: called when it may go on.
        failed: called on overflow ("fail").
    """

    __slots__ = (
        "_arrived",
        "_ended",
        "_error",
        "_events",
        "_failed",
        "_listeners",
        "_overflow",
        "_pause",
        "_resume",
        "_size",
        "_taken",
        "dropped",
        "on_arrival",
        "paused",
        "told",
    )

    def __init__(
        self,
        size: int,
        overflow: Overflow,
        *,
        pause: Callable[[], None],
        resume: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        self.dropped: int = 0
        self.paused: bool = False
        self.told: bool = False
        self.on_arrival: Callable[[], None] | None = None
        self._size = size
        self._overflow = overflow
        self._pause = pause
        self._resume = resume
        self._failed = failed
        self._events: deque[Event] = deque()
        self._arrived: anyio.Event | None = None
        self._listeners = 0
        self._taken = 0  # since the event loop had its turn
        self._ended = False
        self._error: Exception | None = None

    def __len__(self) -> int:
        return len(self._events)

    def waiting(self) -> tuple[Event, ...]:
        """Return the events that wait to be taken."""
        return tuple(self._events)

    # the wire's side

    def put(self, event: Event) -> None:
        """Take an event in, or do what the policy says."""
        if self._ended:
            return
        if len(self._events) >= self._size and not self._make_room():
            return
        self._events.append(event)
        self._tell()

    def insist(self, gap: Gap) -> None:
        """
        Take in a gap, which is never dropped for being too many: in a full inbox it takes the
        place of the oldest event, or joins the gap before it, so that reconnects alone cannot
        fill the memory.
        """
        if self._ended:
            return
        if len(self._events) >= self._size:
            if not self._listeners or self._overflow == "drop_oldest":
                self._events.popleft()
                self.dropped += 1
            elif isinstance(last := self._events[-1], Gap):
                self._events.pop()
                gap = join(last, gap)
        self._events.append(gap)
        self._tell()

    def _make_room(self) -> bool:
        """Decide on one event more than fits; False drops it."""
        policy = self._overflow if self._listeners else "drop_oldest"
        if policy == "block":
            self.paused = True
            self._pause()  # each time: it may be a new connection, which reads
            return True
        if policy == "drop_oldest":
            self._events.popleft()
        self.dropped += 1
        if policy == "fail":
            self._failed()
        return policy == "drop_oldest"

    def _tell(self) -> None:
        arrived, self._arrived = self._arrived, None
        if arrived is not None:
            arrived.set()
        if self.on_arrival is not None:
            self.on_arrival()

    def drop_all(self) -> int:
        """Drop all events that wait to be taken; return how many there were."""
        count = len(self._events)
        self._events.clear()
        self.dropped += count
        return count

    # its life

    def open(self) -> None:
        """Take events in, again."""
        self._ended = self.told = False
        self._error = None

    def end(self, error: Exception | None) -> None:
        """Take no more in; listeners get what is there, and then the end, or the error."""
        self._ended = True
        self._error = error
        self._tell()

    # the listeners' side

    @property
    def heard(self) -> bool:
        """Whether anybody listens."""
        return self._listeners > 0

    def listen(self) -> None:
        """Count one more listener."""
        self._listeners += 1

    def unlisten(self) -> None:
        """Count one less; without any, reading goes on and the oldest events go."""
        self._listeners -= 1
        if not self._listeners:
            self._trim()
            self._let_read()

    def _trim(self) -> None:
        while len(self._events) > self._size:
            self._events.popleft()
            self.dropped += 1

    def _let_read(self) -> None:
        if self.paused:
            self.paused = False
            self._resume()

    def take(self) -> Event | None:
        """Return the next event, or None when there is none at this moment."""
        if not self._events:
            return None
        event = self._events.popleft()
        if self.paused and len(self._events) <= self._size // 2:
            self._let_read()
        return event

    async def next(self) -> Event:
        """
        Return the next event, waiting for it.

        Raises:
            StopAsyncIteration: the client was closed, and all was taken.
            Exception: what the client failed with for good, when all was taken.

        Cancelling it loses nothing.
        """
        if self._taken >= BURST - 1:
            await checkpoint()
            self._taken = 0
        while (event := self.take()) is None:
            if self._ended:
                await checkpoint()
                self._raise_end()
                continue
            if self._arrived is None:
                self._arrived = anyio.Event()
            await self._arrived.wait()
        self._taken += 1
        return event

    def _raise_end(self) -> None:
        """Raise what ends an iteration, if there is nothing to take."""
        if not self._ended or self._events:  # it was started again
            return
        if self._error is None:
            raise StopAsyncIteration
        self.told = True
        raise self._error.with_traceback(None)  # once more: its traceback is not to grow


class Listener:
    """
    One iteration over an inbox.

    The inbox counts it for as long as it exists: when a loop is left, it goes, and so does its
    claim on the events.
    """

    __slots__ = ("_inbox",)

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        inbox.listen()

    def __del__(self) -> None:
        self._inbox.unlisten()

    def __aiter__(self) -> Listener:
        """Return itself."""
        return self

    def __anext__(self) -> Coroutine[Any, Any, Event]:
        """Return the next event; see `Inbox.next`."""
        return self._inbox.next()  # as it is: another coroutine around it takes time
