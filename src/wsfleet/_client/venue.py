"""
What a venue wants, as data: how one subscribes, logs in and stays connected.

Rule 1: a profile is frozen and its functions are pure, so that `dataclasses.replace` makes
another of it.
Rule 2: it says what is sent and what answers mean; when that happens is not its business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from wsfleet.errors import ConfigError

from .checks import LONGEST
from .words import number_of, words

if TYPE_CHECKING:
    from .heartbeat import Heartbeat
    from .limits import Limiter

Call: TypeAlias = Mapping[str, Any]
"""A message that asks for an answer; wsfleet adds its `id`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """
    One message that adds or removes channels.

    Attributes:
        channels: which.
        message: what to send.
        removes: whether it removes them.
    """

    channels: tuple[str, ...]
    message: Call = field(repr=False)
    removes: bool = False


@dataclass(frozen=True, slots=True)
class Ack:
    """
    What a venue's message says about the channels of a batch.

    Attributes:
        confirmed: those that it added, or removed where the batch removes.
        rejected: those that it refused, each with its words.
        postponed: those to be asked for again later: the venue was too busy, or we too quick.
    """

    confirmed: frozenset[str] = frozenset()
    rejected: Mapping[str, str] = field(default_factory=dict)
    postponed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """
    What a login gave.

    Attributes:
        refresh_token: to log in again without the secret, once.
        expires_in: seconds for which the login holds, or None for as long as the connection.
        portable: whether the refresh token is good on another connection, too.
    """

    refresh_token: str | None = field(default=None, repr=False)
    expires_in: float | None = None
    portable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """
    How one logs in, on every connection and before anything else.

    Attributes:
        request: makes the call; given the last grant, or None to begin with the secret.
        read: what the venue's response grants.
        timeout: seconds for the answer.
        refresh_at: the share of a grant's life after which it is renewed.
    """

    request: Callable[[Grant | None], Call] = field(repr=False)
    read: Callable[[Mapping[str, Any]], Grant]
    timeout: float = 5.0
    refresh_at: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.timeout <= LONGEST:
            raise ConfigError("login timeout", "must be more than 0 seconds, and finite")
        if not 0 < self.refresh_at < 1:
            raise ConfigError("login refresh_at", "must be a share between 0 and 1")


NOT_IN_ANSWER: Final = "the venue's answer does not name it"
"""Why a channel is rejected that a list of those subscribed lacks."""


def json_rpc_batches(
    method: str, *, removes: bool = False
) -> Callable[[Sequence[str]], Iterable[Batch]]:
    """
    Return what makes one JSON-RPC call with all channels as `params.channels`.

    Args:
        method: the method to call.
        removes: whether it removes them.
    """

    def batches(channels: Sequence[str]) -> Iterable[Batch]:
        message = {
            "jsonrpc": "2.0",
            "method": method,
            "params": {"channels": list(channels)},
        }
        return (Batch(tuple(channels), message, removes),)

    return batches


def json_rpc_ack(
    batch: Batch, response: Mapping[str, Any], temporary: frozenset[int] = frozenset()
) -> Ack:
    """
    Read the response to a JSON-RPC call: a list names what was done, any other result means
    all of it.

    Args:
        batch: what was asked for.
        response: to it.
        temporary: numbers of errors after which the same call may succeed later.
    """
    every = frozenset(batch.channels)
    error = response.get("error")
    if error is not None:
        code, words = code_of(error), words_of(error)
        if code in temporary:
            return Ack(postponed=every)
        return Ack(rejected=dict.fromkeys(batch.channels, words))
    result = response.get("result")
    if not isinstance(result, list):
        return Ack(confirmed=every)
    named = every & {name for name in result if isinstance(name, str)}
    missing = (name for name in batch.channels if name not in named)
    return Ack(confirmed=named, rejected=dict.fromkeys(missing, NOT_IN_ANSWER))


def checked(ack: Ack | None) -> Ack | None:
    """
    Return what a profile's `read_ack` returned, with members of the types that it promises.

    Raises:
        TypeError: it is no `Ack`, or a member of it can be nothing of the kind.
    """
    if ack is None:
        return None
    if not isinstance(ack, Ack):
        msg = f"read_ack returns an Ack or None, not {type(ack).__name__}"
        raise TypeError(msg)
    rejected = {name: words(why) for name, why in dict(ack.rejected).items()}
    return Ack(frozenset(ack.confirmed), rejected, frozenset(ack.postponed))


def code_of(error: object) -> int | None:
    """Return the number of a JSON-RPC error, if it has one."""
    return number_of(error.get("code")) if isinstance(error, dict) else None


def words_of(error: object, hide: Callable[[str], str] | None = None) -> str:
    """
    Return a JSON-RPC error in words.

    Args:
        error: what the server sent.
        hide: takes secrets out of a text.
    """
    if not isinstance(error, dict):
        return words(error, hide)
    code, message = words(error.get("code"), hide), error.get("message", "")
    return f"{words(message, hide)} ({code})" if message else f"error {code}"


_SUBSCRIBE: Final = json_rpc_batches("subscribe")
_UNSUBSCRIBE: Final = json_rpc_batches("unsubscribe", removes=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """
    What a venue wants of its clients; the defaults are plain JSON-RPC 2.0.

    Attributes:
        name: in logs and errors.
        subscribe: makes of channels the messages that add them.
        unsubscribe: makes of channels the messages that remove them.
        read_ack: what a message says about a batch; None when it says nothing about it.
        by_id: whether a batch is answered by the response with its `id`; else every message
            that comes in is shown to `read_ack` until all of a batch is answered.
        batch_size: channels asked for with one message.
        pause: seconds between the batches with which channels are restored.
        login: how one logs in; None needs no login.
        calls: made on every connection after the login and before channels are restored; a
            refused one refuses the connection.
        heartbeat: runs beside the one of the configuration.
        limiter: makes the limiter of a client that was given none.
        temporary: numbers of errors after which the same call may succeed later.

    Raises:
        ConfigError: a number that can never work.
    """

    name: str = "json-rpc"
    subscribe: Callable[[Sequence[str]], Iterable[Batch]] = _SUBSCRIBE
    unsubscribe: Callable[[Sequence[str]], Iterable[Batch]] = _UNSUBSCRIBE
    read_ack: Callable[[Batch, Any], Ack | None] = json_rpc_ack
    by_id: bool = True
    batch_size: int = 100
    pause: float = 0.0
    login: Login | None = None
    calls: Sequence[Call] = ()
    heartbeat: Heartbeat | None = None
    limiter: Callable[[], Limiter] | None = None
    temporary: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError("venue batch_size", f"must be 1 or more, not {self.batch_size!r}")
        if not 0 <= self.pause <= LONGEST:
            raise ConfigError("venue pause", "must be 0 seconds or more, and finite")

    def __repr__(self) -> str:
        return f"Venue({self.name!r})"

    def batches(self, channels: Sequence[str], *, remove: bool = False) -> list[Batch]:
        """
        Return the messages that add or remove channels, each not too large.

        Args:
            channels: which.
            remove: whether to remove them.
        """
        make, size = self.unsubscribe if remove else self.subscribe, self.batch_size
        parts = (channels[at : at + size] for at in range(0, len(channels), size))
        return [batch for part in parts for batch in make(part)]

    def first_batch(self, channels: Sequence[str], *, remove: bool = False) -> Batch:
        """
        Return the first of the messages that add or remove channels.

        Args:
            channels: which.
            remove: whether to remove them.

        Raises:
            ConfigError: the profile makes no message for them.
        """
        part = channels[: self.batch_size]
        for batch in self.batches(part, remove=remove):
            if (
                batch.removes is remove
                and batch.channels
                and set(part).issuperset(batch.channels)
            ):
                return batch
        option = "venue unsubscribe" if remove else "venue subscribe"
        raise ConfigError(option, f"makes no message for {', '.join(part)}")


JSON_RPC: Final = Venue()
"""The profile of a client that was given none."""
