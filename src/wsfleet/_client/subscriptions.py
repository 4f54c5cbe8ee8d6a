"""
Adds channels, removes them, and restores them on a new connection.

Rule 1: whatever ends a caller's waiting, the table says what the venue has: what nobody wants
any more and is confirmed late is removed at once.
Rule 2: a caller whose channels somebody else asks for waits for that answer, and asks itself
where the other gave up.
Rule 3: of the questions that were given up without an answer, the latest `MOST_LATE` are kept
for rule 1; a venue that never answers cannot fill the memory.
Rule 4: what the venue was too busy for is asked for again, later and later, until the caller's
deadline.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio

from wsfleet._wire.signals import Changes
from wsfleet.errors import (
    RateLimitedError,
    RequestTimeoutError,
    SubscriptionRejectedError,
    UnreadableAnswerError,
)

from .channels import Channels
from .user_code import call, crash_of, name_of
from .venue import checked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .channels import Claim
    from .deadline import Deadline
    from .dialogue import Dialogue
    from .venue import Batch, Venue

FIRST_POSTPONEMENT: Final = 0.5
"""Seconds after which a venue that was too busy is asked again; they double each time."""

MOST_LATE: Final = 64
"""Questions whose callers have gone, and whose answers are still read when they come."""


class Subscriptions:
    """
    The channels of one client, over all its connections.

    Args:
        client: the client's name.
        venue: how to ask, and what answers mean.
        restore: whether channels outlive a connection.
        crashed: called with what a user's profile raised where nobody waits.
        unread: called with a function that failed to read, and what it raised.
    """

    __slots__ = (
        "_asked",
        "_changes",
        "_client",
        "_crashed",
        "_late",
        "_open",
        "_restore",
        "_unread",
        "_venue",
        "channels",
    )

    def __init__(
        self,
        client: str,
        venue: Venue,
        *,
        restore: bool,
        crashed: Callable[[BaseException], None],
        unread: Callable[[object, BaseException], object],
    ) -> None:
        self.channels: Channels = Channels()
        self._client = client
        self._venue = venue
        self._restore = restore
        self._crashed = crashed
        self._unread = unread
        self._changes = Changes()
        self._asked: dict[_Question, None] = {}  # by users, who wait for the answers
        self._open: dict[_Question, None] = {}  # those of a venue that answers without ids
        self._late: dict[_Question, None] = {}

    # what users ask for

    async def add(self, dialogue: Dialogue, names: Sequence[str], timeout: float) -> None:
        """Subscribe; see `Client.subscribe`."""
        claim = self.channels.claim(tuple(names))
        self.channels.forget_rejections(claim.names)
        try:
            with self._named("subscribe", timeout):
                deadline = dialogue.deadline(timeout)
                while claim.error is None and not self.channels.settled(claim.names):
                    if unasked := self.channels.unasked(claim.names):
                        batch = call(self._venue.first_batch, unasked)
                        await self._ask_for_user(_Question(batch, dialogue), deadline, timeout)
                    else:
                        await deadline.wait(self._changes.next)
            rejected = self._outcome(claim)
        except BaseException:
            self._remove_quietly(dialogue, self.channels.drop(claim))
            self._changes.tell()
            raise
        if rejected:
            confirmed = [name for name in claim.names if name not in rejected]
            raise SubscriptionRejectedError(self._client, rejected, confirmed)

    def _outcome(self, claim: Claim) -> dict[str, str]:
        if claim.error is not None:
            raise claim.error
        return self.channels.keep(claim)

    async def remove(
        self, dialogue: Dialogue | None, names: Sequence[str], timeout: float
    ) -> None:
        """Unsubscribe; see `Client.unsubscribe`."""
        removal = self.channels.release(names)
        if dialogue is None:
            return
        told: set[str] = set()
        try:
            with self._named("unsubscribe", timeout):
                deadline = dialogue.deadline(timeout)
                while untold := self.channels.untold(removal):
                    batch = call(partial(self._venue.first_batch, remove=True), untold)
                    question = _Question(batch, dialogue, told)
                    await self._ask_for_user(question, deadline, timeout)
        except BaseException:
            self.channels.take_back(removal, told)
            self._changes.tell()
            raise

    @contextmanager
    def _named(self, what: str, timeout: float) -> Iterator[None]:
        """Give errors what callers want to know."""
        try:
            yield
        except TimeoutError:
            raise RequestTimeoutError(self._client, what, timeout, None) from None
        except RateLimitedError as error:
            error.client = self._client
            raise

    # connections

    async def restore(self, dialogue: Dialogue, timeout: float) -> tuple[int, dict[str, str]]:
        """
        Subscribe on a new connection to all that is held.

        Args:
            dialogue: over the new connection.
            timeout: seconds for each batch.

        Returns:
            How many were restored, and those that the venue refused, each with its words.

        Raises:
            TimeoutError: the venue did not answer in time.
        """
        held = self.channels.held()
        while unasked := self.channels.unasked(held):
            batch = call(self._venue.first_batch, unasked)
            deadline = dialogue.deadline(timeout)
            await self._ask(_Question(batch, dialogue), deadline, timeout)
            if self._venue.pause and self.channels.unasked(held):
                await anyio.sleep(self._venue.pause)
        return self.channels.confirmed(held), self.channels.rejected(held)

    def lost(self, make_error: Callable[[], Exception]) -> tuple[str, ...]:
        """Take note that the connection is lost; return the channels that it carried."""
        held = self.channels.held()
        for question in tuple(self._open):
            self._close(question)
            question.error = make_error()
        self._late.clear()
        self.channels.lost(make_error, restore=self._restore)
        self._changes.tell()
        return held

    # what the venue says

    def takes(self, message: Any) -> bool:
        """Take a message that answers a batch without an id; False when it answers none."""
        return any(self._read(question, message) for question in tuple(self._open))

    def starve(self, make_error: Callable[[], Exception]) -> None:
        """Fail what users ask: the answers cannot be read."""
        for question in self._asked:
            question.error = make_error()
        self._changes.tell()

    async def _ask_for_user(
        self, question: _Question, deadline: Deadline, timeout: float
    ) -> None:
        question.dialogue.refuse_unreadable()
        self._asked[question] = None
        try:
            await self._ask(question, deadline, timeout)
        finally:
            del self._asked[question]

    async def _ask(self, question: _Question, deadline: Deadline, timeout: float) -> None:
        """Ask until all of a batch is answered, or others decide about its channels."""
        delay = max(self._venue.pause, FIRST_POSTPONEMENT)
        self.channels.plan(question.batch)
        try:
            with question.dialogue.asking():
                while await self._put(question, deadline, timeout):
                    if await self._is_answered(question, deadline):
                        return
                    await deadline.wait(partial(anyio.sleep, delay))
                    delay *= 2
        finally:
            self.channels.give_up(question.batch)
            if question.awaited:
                self._keep_late(question)

    def _keep_late(self, question: _Question) -> None:
        """Keep a question that nobody waits for any more, in place of the oldest of them."""
        self._late[question] = None
        if len(self._late) <= MOST_LATE:
            return
        oldest = next(iter(self._late))
        self._close(oldest)
        oldest.dialogue.forget(oldest.request_id)
        self._remove_quietly(oldest.dialogue, self.channels.answer_missing(oldest.batch))
        self._changes.tell()

    def _close(self, question: _Question) -> None:
        """Await no answer to a question any more."""
        question.awaited = False
        self._open.pop(question, None)
        self._late.pop(question, None)

    async def _put(self, question: _Question, deadline: Deadline, timeout: float) -> bool:
        """Send a batch in its turn; False when it is not to be sent any more."""
        batch, dialogue = question.batch, question.dialogue
        while not await deadline.wait(partial(dialogue.turn, batch.message, timeout)):
            continue
        if not self.channels.due(batch):
            return False
        question.postponed = False
        question.told.update(batch.channels)
        self.channels.told(batch)
        question.awaited = True
        try:
            self._send(question)
        except BaseException:
            self._close(question)
            raise
        return True

    def _send(self, question: _Question) -> None:
        message, dialogue = question.batch.message, question.dialogue
        if self._venue.by_id:
            take = partial(self._responded, question)
            question.request_id = dialogue.say(message, take, counted=True)
        else:
            self._open[question] = None
            dialogue.say(message, counted=True)

    async def _is_answered(self, question: _Question, deadline: Deadline) -> bool:
        """Wait for all of an answer; False when it postpones."""
        while question.missing and not question.postponed:
            if question.error is not None:
                raise question.error
            await deadline.wait(self._changes.next)
        return not question.missing

    def _responded(self, question: _Question, response: object) -> None:
        self._close(question)
        if isinstance(response, Exception):
            self._fail(question, response)
        else:
            self._read(question, response)

    def _read(self, question: _Question, message: Any) -> bool:
        """Take in what a message says about a question; False when it says nothing."""
        read = self._venue.read_ack
        try:
            ack = checked(read(question.batch, message))
        except BaseException as exc:  # noqa: BLE001 - a user's profile; it reaches who asked
            self._unread(read, exc)
            if self._venue.by_id:  # else it may answer another question, or none
                error = UnreadableAnswerError(self._client, name_of(read))
                error.__cause__ = exc
                self._fail(question, error)
            return False
        if ack is None:
            return False
        question.missing -= ack.confirmed | ack.rejected.keys()
        question.postponed = bool(ack.postponed)
        question.told -= ack.postponed
        if not question.missing or question.postponed:
            self._close(question)
        self._remove_quietly(question.dialogue, self.channels.answer(question.batch, ack))
        self._changes.tell()
        return True

    def _fail(self, question: _Question, error: Exception) -> None:
        question.error = error
        self._changes.tell()

    def _remove_quietly(self, dialogue: Dialogue, names: Sequence[str]) -> None:
        if not names:
            return
        try:
            for batch in self._venue.batches(names, remove=True):
                dialogue.say(batch.message, by_id=self._venue.by_id)
        except BaseException as exc:  # noqa: BLE001 - a user's profile or limiter; it reaches the owner
            self._crashed(crash_of(exc, self._venue.unsubscribe, is_sync=True))


def channel_names(channels: str | Iterable[str]) -> tuple[str, ...]:
    """
    Return the channels, each once.

    Raises:
        TypeError: one is no str.
    """
    names = (channels,) if isinstance(channels, str) else tuple(dict.fromkeys(channels))
    for name in names:
        if not isinstance(name, str):
            msg = f"a channel is a str, not {type(name).__name__}; nothing was sent"
            raise TypeError(msg)
    return names


class _Question:
    """
    A batch whose answer is awaited.

    Args:
        batch: the one.
        dialogue: over which it is asked.
        told: takes the channels while the venue knows what is asked of them.

    Attributes:
        awaited: whether it was sent, and its answer may still come.
        request_id: the id with which it was sent, if any.
    """

    __slots__ = (
        "awaited",
        "batch",
        "dialogue",
        "error",
        "missing",
        "postponed",
        "request_id",
        "told",
    )

    def __init__(self, batch: Batch, dialogue: Dialogue, told: set[str] | None = None) -> None:
        self.batch = batch
        self.dialogue = dialogue
        self.told = set() if told is None else told
        self.missing = set(batch.channels)
        self.postponed = False
        self.awaited = False
        self.request_id: str | None = None
        self.error: Exception | None = None
