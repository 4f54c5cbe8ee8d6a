"""
Who wants which channels, and what the venue has said of each.

Rule 1: this module sends nothing, waits for nothing and knows no clock.
Rule 2: a channel is held once for each `subscribe` that succeeded and was not undone; only what
is held is restored after a reconnect.
Rule 3: of several batches that ask for a channel, the answer to the last one counts.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .venue import Ack, Batch


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
        asked: the last batch that asked for it, while its answer is awaited.
        why: the venue's words, where it was rejected.
    """

    __slots__ = ("asked", "claims", "holders", "state", "why")

    def __init__(self) -> None:
        self.state = _S.PENDING
        self.holders = 0
        self.claims = 0
        self.asked: Batch | None = None
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
        self.names = names
        self.error: Exception | None = None


class Channels:
    """All channels of one client."""

    __slots__ = ("_channels", "_claims")

    def __init__(self) -> None:
        self._channels: dict[str, Channel] = {}
        self._claims: list[Claim] = []

    def __len__(self) -> int:
        return len(self._channels)

    def states(self) -> dict[str, SubscriptionState]:
        """Return each channel's state."""
        return {name: channel.state for name, channel in self._channels.items()}

    def held(self) -> tuple[str, ...]:
        """Return the channels to restore."""
        return tuple(name for name, channel in self._channels.items() if channel.holders)

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
            self._channels.setdefault(name, Channel()).claims += 1
        return claim

    def unasked(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those that the venue is still to be asked for."""
        return tuple(name for name in names if self._is_unasked(self._channels[name]))

    @staticmethod
    def _is_unasked(channel: Channel) -> bool:
        if channel.state is _S.PENDING:
            return channel.asked is None
        # Rejected and removed ones are asked for again; the venue takes them in order.
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
        return rejected

    def drop(self, claim: Claim) -> tuple[str, ...]:
        """End a claim without an outcome; return what the venue should no longer send."""
        if claim not in self._claims:
            return ()  # the loss of the connection has ended it
        self._end(claim)
        return tuple(name for name in claim.names if self._forget(name))

    def _end(self, claim: Claim) -> None:
        self._claims.remove(claim)
        for name in claim.names:
            self._channels[name].claims -= 1

    def _forget(self, name: str) -> bool:
        """Forget a channel that nobody wants; return whether it is subscribed."""
        channel = self._channels[name]
        if channel.wanted or channel.state is _S.REJECTED:
            return False
        del self._channels[name]
        return channel.state is _S.CONFIRMED

    # unsubscribing

    def release(self, names: Iterable[str]) -> tuple[str, ...]:
        """Undo one subscribing to each; return those that nobody wants any more."""
        unwanted = []
        for name in names:
            channel = self._channels.get(name)
            if channel is None:
                continue
            channel.holders = max(channel.holders - 1, 0)
            if channel.wanted:
                continue
            if channel.state is _S.CONFIRMED:
                channel.state = _S.REMOVING
                unwanted.append(name)
            elif channel.state is not _S.REMOVING:
                del self._channels[name]
        return tuple(unwanted)

    def take_back(self, names: Iterable[str]) -> None:
        """Hold again what was released, and of which the venue was not told."""
        for name in names:
            channel = self._channels.get(name)
            if channel is not None and channel.state is _S.REMOVING:
                channel.state = _S.CONFIRMED
                channel.holders += 1

    # what the venue says

    def ask(self, batch: Batch) -> None:
        """Take note that a batch is about to be sent."""
        for name in batch.channels:
            channel = self._channels.get(name)
            if channel is not None:
                channel.asked = batch
                channel.state = _S.REMOVING if batch.removes else _S.PENDING

    def give_up(self, batch: Batch) -> None:
        """Take note that nobody awaits a batch's answer any more."""
        for name in batch.channels:
            channel = self._channels.get(name)
            if channel is not None and channel.asked is batch:
                channel.asked = None

    def answer(self, batch: Batch, ack: Ack) -> tuple[str, ...]:
        """Take an answer in; return what is subscribed now though nobody wants it."""
        named = (*ack.confirmed, *ack.rejected)
        if batch.removes:
            for name in named:
                self._removed(name)
            return ()
        for name, why in ack.rejected.items():
            self._rejected(name, batch, why)
        return tuple(name for name in ack.confirmed if not self._confirmed(name, batch))

    def _removed(self, name: str) -> None:
        channel = self._channels.get(name)
        if channel is None or channel.state is not _S.REMOVING:
            return
        if channel.wanted:  # again, and not asked for yet
            channel.state, channel.asked = _S.PENDING, None
        else:
            del self._channels[name]

    def _rejected(self, name: str, batch: Batch, why: str) -> None:
        channel = self._channels.get(name)
        if channel is not None and channel.asked is batch:
            channel.asked = None
            channel.state, channel.why, channel.holders = _S.REJECTED, why, 0

    def _confirmed(self, name: str, batch: Batch) -> bool:
        """Note it; return whether anybody wants it, or a later batch decides."""
        channel = self._channels.get(name)
        if channel is None:
            return False
        if channel.asked is batch:
            channel.asked = None
            channel.state = _S.CONFIRMED
        return True

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
        for channel in self._channels.values():
            channel.state, channel.asked = _S.PENDING, None

    def clear(self) -> None:
        """Forget all."""
        self._channels = {}
