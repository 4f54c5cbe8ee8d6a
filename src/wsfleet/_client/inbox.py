"""
Queue of events for the consumer, bounded by their number and by their bytes.

Rule 1: putting never waits; what a full inbox does is its overflow policy.
Rule 2: while nobody listens it keeps the newest events and drops the oldest, whatever the
policy: a client that is only sent through never stalls.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

import anyio
from anyio.lowlevel import checkpoint

from .events import Gap, join
from .fairness import BURST

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from .events import Event
    from .reading import Reading

Overflow: TypeAlias = Literal["block", "drop_oldest", "drop_newest", "fail"]
"""
What happens when an event finds the inbox full: reading from the network pauses until half of
it was taken (what was already read is kept on top), the oldest or the newest event is dropped,
or the client fails.
"""

OVERHEAD: Final = 64
"""Bytes that an event counts beside those of its message: an empty one takes memory, too."""


class _Nothing:
    """What an event is measured by before there is a connection."""

    size = 0


_NOTHING: Final = _Nothing()
_NO_EVENTS: Final[deque[Event]] = deque(maxlen=0)
_NO_SIZES: Final[deque[int]] = deque(maxlen=0)
"""Queues of each inbox before its first event: an empty one takes 0.7 kB."""


class Sized(Protocol):
    """What delivers events: a connection's decoder."""

    size: int
    """Bytes of the message that is being delivered, inflated."""


class Inbox:
    """
    A bounded queue between the wire and its listeners.

    An event always finds room in an empty inbox, however large it is.

    Args:
        size: events that it holds.
        most: bytes that it holds.
        overflow: what happens to more.
        reading: told when the inbox is full, and when it has room ("block").
        failed: called on overflow ("fail") with what was too many: "events" or "bytes".

    Attributes:
        source: tells the size of the event that is put.
    """

    __slots__ = (
        "_arrived",
        "_bytes",
        "_ended",
        "_error",
        "_events",
        "_failed",
        "_listeners",
        "_most",
        "_overflow",
        "_reading",
        "_room",
        "_room_bytes",
        "_room_open",
        "_size",
        "_sizes",
        "_taken",
        "dropped",
        "on_arrival",
        "paused",
        "source",
        "told",
    )

    def __init__(
        self,
        size: int,
        most: int,
        overflow: Overflow,
        *,
        reading: Reading,
        failed: Callable[[str], None],
    ) -> None:
        self.dropped: int = 0
        self.paused: bool = False  # whether reading was told that it is full
        self.told: bool = False
        self.on_arrival: Callable[[], None] | None = None
        self.source: Sized = _NOTHING
        self._size = size
        # Up to so many events and bytes of theirs, nothing else need be asked.
        self._room_open = min(size, most // (2 * OVERHEAD))
        self._room_bytes = most - self._room_open * OVERHEAD
        self._room = 0  # the first event needs the queues
        self._most = most
        self._overflow = overflow
        self._reading = reading
        self._failed = failed
        self._events: deque[Event] = _NO_EVENTS
        # Of these events, and before them of some that were taken: see `_count_again`.
        self._sizes: deque[int] = _NO_SIZES
        self._bytes = 0
        self._arrived: anyio.Event | None = None
        self._listeners = 0
        self._taken = 0  # since the event loop had its turn
        self._ended = False
        self._error: Exception | None = None

    def __len__(self) -> int:
        return len(self._events)

    def weigh(self) -> int:
        """Return how many bytes the events that wait to be taken count."""
        self._count_again()
        return self._held_bytes

    def waiting(self) -> tuple[Event, ...]:
        """Return the events that wait to be taken."""
        return tuple(self._events)

    # the wire's side

    def put(self, event: Event) -> None:
        """Take an event in, or do what the policy says."""
        size = self.source.size
        held = self._bytes + size
        if held > self._room_bytes or len(self._sizes) >= self._room:
            self._put_beyond(event, size)
            return
        self._bytes = held
        self._sizes.append(size)
        self._events.append(event)
        if self._arrived is not None or self.on_arrival is not None:
            self._tell()

    def _put_beyond(self, event: Event, size: int) -> None:
        """Take an event in, or not, where it may not fit."""
        if self._ended:
            return
        self._make_queues()
        self._count_again()
        over = not self._fits(size)
        is_full = over or len(self._events) >= self._size
        policy = self._overflow if self._listeners else "drop_oldest"
        if is_full and not self._make_room(policy, size, over=over):
            return
        self._append(event, size)
        if is_full and policy == "block":
            self.paused = True
            self._reading.hold(over=over)  # each time: it may be a new connection, which reads

    def _make_queues(self) -> None:
        if self._sizes is _NO_SIZES:
            self._events, self._sizes = deque(), deque()
            self._room = self._room_open

    def _fits(self, size: int) -> bool:
        """Whether an event more of so many bytes leaves the inbox within its bytes."""
        return self._bytes + size + OVERHEAD * (len(self._events) + 1) <= self._most

    def _append(self, event: Event, size: int) -> None:
        self._sizes.append(size)
        self._bytes += size
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
        self._make_queues()
        self._count_again()
        if len(self._events) >= self._size:
            if not self._listeners or self._overflow == "drop_oldest":
                self._drop_oldest()
            elif isinstance(last := self._events[-1], Gap):
                self._events.pop()
                self._bytes -= self._sizes.pop()
                gap = join(last, gap)
        self._append(gap, 0)

    def _make_room(self, policy: Overflow, size: int, *, over: bool) -> bool:
        """Decide on an event more than fits; False drops it."""
        if policy == "drop_oldest":
            self._drop_for(size)
            return True
        if policy == "block":
            if not over or self._reading.possible:
                return True
        elif not self._events:
            return True
        self.dropped += 1
        if policy == "fail":
            self._failed("bytes" if over else "events")
        return False

    def _drop_for(self, size: int) -> None:
        """Drop the oldest events until one of so many bytes fits, or none is left."""
        while self._events and (len(self._events) >= self._size or not self._fits(size)):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._events.popleft()
        self._bytes -= self._sizes.popleft()
        self.dropped += 1

    @property
    def _held_bytes(self) -> int:
        return self._bytes + OVERHEAD * len(self._events)

    def _count_again(self) -> None:
        """
        Forget the sizes of what was taken: to take an event only takes it out of one queue, and
        its size goes when the inbox seems to be full.
        """
        count = len(self._events)
        if not count:
            self._sizes.clear()
            self._bytes = 0
        while len(self._sizes) > count:
            self._bytes -= self._sizes.popleft()

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
        self._count_again()
        self.dropped += count
        self._let_read()
        return count

    # its life

    def open(self) -> None:
        """Take events in, again."""
        self._ended = self.told = False
        self._room = 0 if self._sizes is _NO_SIZES else self._room_open
        self._error = None

    def end(self, error: Exception | None) -> None:
        """Take no more in; listeners get what is there, and then the end, or the error."""
        self._ended = True
        self._room = 0  # to look closely at each
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
        self._count_again()
        while len(self._events) > self._size or (
            self._held_bytes > self._most and len(self._events) > 1
        ):
            self._drop_oldest()

    def _let_read(self) -> None:
        """Tell who reads what room there is again."""
        if not self.paused:
            return
        self._count_again()
        is_over = self._held_bytes > self._most // 2 and self._reading.over
        if is_over and self._events and self._listeners:
            return
        if len(self._events) <= self._size // 2 or not self._listeners:
            self.paused = False
            self._reading.release()
        elif self._reading.over:
            self._reading.ease()

    def take(self) -> Event | None:
        """Return the next event, or None when there is none at this moment."""
        if not self._events:
            return None
        event = self._events.popleft()
        if self.paused:
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
        if self._events and self._taken < BURST - 1:
            self._taken += 1
            event = self._events.popleft()
            if self.paused:
                self._let_read()
            return event
        return await self._next_in_turn()

    async def _next_in_turn(self) -> Event:
        """Return the next event, after a turn of the event loop where one is due."""
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
