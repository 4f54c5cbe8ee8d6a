"""
Who wants which channels, and what the venue has said of each.

Rule 1: this module sends nothing, waits for nothing and knows no clock.
Rule 2: a channel is held once for each `subscribe` that succeeded and was not undone; only what
is held is restored after a reconnect.
Rule 3: of several batches that ask for a channel, the answer to the last one counts.
Rule 4: of the channels that were rejected, and that nobody asks for, the latest `MOST_REJECTED`
are remembered.
Rule 5: whether a channel is to be removed is decided when the message goes out, not when it was
planned: whoever wants it in the meantime keeps it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from .venue import Ack, Batch

MOST_REJECTED: Final = 1024
"""Rejected channels whose state is remembered."""


class SubscriptionState(StrEnum):
    """What `get_subscriptions()` says of a channel."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REMOVING = "removing"
    REJECTED = "rejected"


_S = SubscriptionState


class Channel:
    """
    One channel.

    Attributes:
        state: what the venue has said of it.
        holders: users that subscribed and did not unsubscribe.
        claims: users that await the outcome of their subscribing.
        asked: the last batch that is to ask for it, or did, while its answer is awaited.
        there: whether the venue has confirmed it, and was not told to remove it since.
        why: the venue's words, where it was rejected.
    """

    __slots__ = ("asked", "claims", "holders", "state", "there", "why")

    def __init__(self) -> None:
        self.state = _S.PENDING
        self.holders = 0
        self.claims = 0
        self.asked: Batch | None = None
        self.there = False
        self.why = ""

    @property
    def wanted(self) -> bool:
        """Whether anybody holds it, or waits to."""
        return self.holders > 0 or self.claims > 0


class Claim:
    """
    One user's subscribing, until its outcome is known.

    Attributes:
        names: the channels.
        error: what ended it before its outcome was known, or None.
    """

    __slots__ = ("error", "names")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names: tuple[str, ...] = names
        self.error: Exception | None = None


class Removal(NamedTuple):
    """
    One user's unsubscribing.

    Attributes:
        names: the channels that it held.
        unwanted: those of them that nobody else wants.
        losses: how many connections were lost before it.
    """

    names: frozenset[str]
    unwanted: tuple[str, ...]
    losses: int


class Channels:
    """All channels of one client."""

    __slots__ = ("_channels", "_claims", "_losses", "_rejected_names")

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}
        self._rejected_names: dict[str, None] = {}  # perhaps not any more; the oldest first
        self._claims: list[Claim] = []
        self._losses = 0

    def __len__(self) -> int:
        return len(self._channels)

    def states(self) -> dict[str, SubscriptionState]:
        """Return each channel's state."""
        return {name: channel.state for name, channel in self._channels.items()}

    def held(self) -> tuple[str, ...]:
        """Return the channels to restore."""
        return tuple(name for name, channel in self._channels.items() if channel.holders)

    def confirmed(self, names: Iterable[str]) -> int:
        """Return how many the venue has confirmed."""
        found = (self._channels.get(name) for name in names)
        return sum(c is not None and c.state is _S.CONFIRMED for c in found)

    def rejected(self, names: Iterable[str]) -> dict[str, str]:
        """Return those that the venue refused, each with its words."""
        found = ((name, self._channels.get(name)) for name in names)
        return {name: c.why for name, c in found if c is not None and c.state is _S.REJECTED}

    # subscribing

    def claim(self, names: tuple[str, ...]) -> Claim:
        """Begin to subscribe."""
        claim = Claim(names)
        self._claims.append(claim)
        for name in names:
            channel = self._channels.setdefault(name, Channel())
            channel.claims += 1
            self._keep_there(channel)
        return claim

    @staticmethod
    def _keep_there(channel: Channel) -> None:
        """Keep what was to be removed, where the venue was not told yet."""
        if channel.state is _S.REMOVING and channel.there:
            channel.state, channel.asked = _S.CONFIRMED, None

    def unasked(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those that are wanted, and that the venue is still to be asked for."""
        found = ((name, self._channels.get(name)) for name in names)
        return tuple(name for name, c in found if c is not None and self._is_unasked(c))

    @staticmethod
    def _is_unasked(channel: Channel) -> bool:
        if not channel.wanted:
            return False
        if channel.state is _S.PENDING:
            return channel.asked is None
        # One that is just being removed is asked for again; the venue takes both in order.
        return channel.state is _S.REMOVING

    def settled(self, names: Iterable[str]) -> bool:
        """Whether the venue has answered for all of them."""
        answered = {_S.CONFIRMED, _S.REJECTED}
        return all(self._channels[name].state in answered for name in names)

    def forget_rejections(self, names: Iterable[str]) -> None:
        """Let rejected ones be asked for again."""
        for name in names:
            channel = self._channels[name]
            if channel.state is _S.REJECTED:
                channel.state = _S.PENDING

    def keep(self, claim: Claim) -> dict[str, str]:
        """End a claim with its outcome: hold what was confirmed, return what was rejected."""
        self._end(claim)
        rejected = {}
        for name in claim.names:
            channel = self._channels[name]
            if channel.state is _S.REJECTED:
                rejected[name] = channel.why
            else:
                channel.holders += 1
        self._forget_rejections()
        return rejected

    def drop(self, claim: Claim) -> tuple[str, ...]:
        """End a claim without an outcome; return what the venue should no longer send."""
        if claim not in self._claims:
            return ()  # the loss of the connection has ended it
        self._end(claim)
        there = tuple(name for name in claim.names if self._forget(name))
        self._forget_rejections()
        return there

    def _end(self, claim: Claim) -> None:
        self._claims.remove(claim)
        for name in claim.names:
            self._channels[name].claims -= 1

    def _forget_rejections(self) -> None:
        """Forget the oldest; a channel that is asked for again gets another answer."""
        while len(self._rejected_names) > MOST_REJECTED:
            name = next(iter(self._rejected_names))
            del self._rejected_names[name]
            channel = self._channels.get(name)
            if channel is not None and channel.state is _S.REJECTED and not channel.wanted:
                del self._channels[name]

    def _forget(self, name: str) -> bool:
        """Forget a channel that nobody wants; return whether the venue has it."""
        channel = self._channels[name]
        if channel.wanted or channel.state is _S.REJECTED:
            return False
        del self._channels[name]
        return channel.there

    # unsubscribing

    def release(self, names: Iterable[str]) -> Removal:
        """Undo one subscribing to each of those that are held."""
        released, unwanted = [], []
        for name in names:
            channel = self._channels.get(name)
            if channel is None:
                continue
            if channel.holders:
                channel.holders -= 1
                released.append(name)
            if not channel.wanted and self._remove(name, channel):
                unwanted.append(name)
        return Removal(frozenset(released), tuple(unwanted), self._losses)

    def _remove(self, name: str, channel: Channel) -> bool:
        """Remove a channel that nobody wants; return whether the venue is to be told."""
        if channel.state is _S.CONFIRMED:
            channel.state = _S.REMOVING
            return True
        if channel.state is not _S.REMOVING:
            del self._channels[name]
        return False

    def untold(self, removal: Removal) -> tuple[str, ...]:
        """Return those whose removal the venue is still to be told of."""
        found = ((name, self._channels.get(name)) for name in removal.unwanted)
        return tuple(
            name for name, c in found if c is not None and c.state is _S.REMOVING and c.there
        )

    def take_back(self, removal: Removal, told: Collection[str]) -> None:
        """
        Hold again what was released, where the venue was not told of all that it was to be told
        of; `told` is what it was.
        """
        if removal.losses != self._losses or all(name in told for name in removal.unwanted):
            return
        for name in removal.names.difference(told):
            channel = self._channels.get(name)
            if channel is not None and channel.there:
                channel.holders += 1
                self._keep_there(channel)

    # what the venue says

    def plan(self, batch: Batch) -> None:
        """Take note that a batch is to be sent when its turn comes."""
        for name in batch.channels:
            channel = self._channels[name]
            channel.asked = batch
            channel.state = _S.REMOVING if batch.removes else _S.PENDING

    def due(self, batch: Batch) -> bool:
        """Whether a batch that was planned is still what is to be sent."""
        found = (self._channels.get(name) for name in batch.channels)
        return all(channel is not None and channel.asked is batch for channel in found)

    def told(self, batch: Batch) -> None:
        """Take note that a batch was sent."""
        if batch.removes:
            for name in batch.channels:
                self._channels[name].there = False

    def give_up(self, batch: Batch) -> None:
        """Take note that nobody awaits a batch's answer any more."""
        for name in batch.channels:
            channel = self._channels.get(name)
            if channel is not None and channel.asked is batch:
                channel.asked = None

    def answer(self, batch: Batch, ack: Ack) -> tuple[str, ...]:
        """Take an answer in; return what is subscribed now though nobody wants it."""
        if batch.removes:
            for name in (*ack.confirmed, *ack.rejected):
                self._removed(name)
            return tuple(name for name in ack.postponed if self._not_removed(name, batch))
        refused = [
            name for name, why in ack.rejected.items() if self._rejected(name, batch, why)
        ]
        unwanted = [name for name in ack.confirmed if not self._confirmed(name, batch)]
        return (*refused, *unwanted)

    def answer_missing(self, batch: Batch) -> tuple[str, ...]:
        """
        Record that a batch whose caller has gone will have no answer; return what may
        be subscribed now though nobody wants it.
        """
        if not batch.removes:
            return tuple(name for name in batch.channels if name not in self._channels)
        for name in batch.channels:
            channel = self._channels.get(name)
            if channel is not None and channel.asked is None and not channel.there:
                self._removed(name)
        return ()

    def _removed(self, name: str) -> None:
        channel = self._channels.get(name)
        if channel is None or channel.state is not _S.REMOVING:
            return
        if channel.wanted:  # again, and not asked for yet
            channel.state, channel.asked = _S.PENDING, None
        else:
            del self._channels[name]

    def _not_removed(self, name: str, batch: Batch) -> bool:
        """Note it; return whether nobody is left to try again."""
        channel = self._channels.get(name)
        if channel is None:
            return False
        channel.there = True
        if channel.state is not _S.REMOVING or channel.asked is batch:
            return False
        return self._forget(name)

    def _rejected(self, name: str, batch: Batch, why: str) -> bool:
        """Note it; return whether an earlier batch has subscribed it all the same."""
        channel = self._channels.get(name)
        if channel is None or channel.asked is not batch:
            return False
        was_there, channel.there = channel.there, False
        channel.asked = None
        channel.state, channel.why, channel.holders = _S.REJECTED, why, 0
        self._rejected_names.pop(name, None)
        self._rejected_names[name] = None
        return was_there

    def _confirmed(self, name: str, batch: Batch) -> bool:
        """Note it; return whether anybody wants it, or a later batch decides."""
        channel = self._channels.get(name)
        if channel is None:
            return False
        if channel.asked is batch:
            channel.asked = None
            channel.state, channel.there = _S.CONFIRMED, True
        elif channel.state is _S.PENDING:
            channel.there = True
        return channel.state is not _S.REJECTED

    # connections

    def lost(self, make_error: Callable[[], Exception], *, restore: bool) -> None:
        """
        Take note that the connection is lost: each claim ends with an error of its own, and
        what is held waits to be restored.
        """
        for claim in list(self._claims):
            self._end(claim)
            claim.error = make_error()
        kept = self.held() if restore else ()
        self._channels = {name: self._channels[name] for name in kept}
        self._rejected_names.clear()
        self._losses += 1
        for channel in self._channels.values():
            channel.state, channel.asked, channel.there = _S.PENDING, None, False

    def clear(self) -> None:
        """Forget all."""
        self._channels = {}
        self._rejected_names.clear()
