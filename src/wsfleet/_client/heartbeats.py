"""
Heartbeats that are messages: a server's test requests, pings of our own, beats of the server's.

Rule 1: a message that a heartbeat takes is for nobody else.
Rule 2: messages may hold tokens, so that none is part of a repr.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from wsfleet.errors import ConfigError

from .heartbeat import check_seconds
from .matching import Matcher, matches
from .messages import outgoing

if TYPE_CHECKING:
    from .messages import Sendable
    from .pulse import Pulse


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRpcHeartbeat:
    """
    A server that tests its clients and closes on those that do not answer, as Deribit does
    (docs.deribit.com, `public/set_heartbeat`): its `test_request` is answered with a call.

    Attributes:
        interval: seconds between the server's beats; None takes `heartbeat_interval`. Deribit
            wants 10 or more.
        timeout: seconds for an answer, and beyond the interval for anything to come at all.
        start: the method that asks for the beats, given `interval`; "" where they come unasked.
        answer: the method that answers a test request.
    """

    interval: float | None = None
    timeout: float = 10.0
    start: str = "public/set_heartbeat"
    answer: str = "public/test"

    def __post_init__(self) -> None:
        check_seconds(interval=self.interval, timeout=self.timeout)

    def takes(self, data: Any) -> bool:
        """
        Whether it is a notification `heartbeat`.

        Args:
            data: a message, decoded.
        """
        return type(data) is dict and data.get("method") == "heartbeat"

    async def run(self, pulse: Pulse) -> None:
        """
        Ask for beats and answer them; return when an answer or all beats are missing.

        Args:
            pulse: what it can do with the connection.
        """
        interval = pulse.interval if self.interval is None else self.interval
        try:
            if self.start:
                await pulse.ask(
                    self.start, {"interval": _whole(interval)}, timeout=self.timeout
                )
            while (beat := await pulse.next(interval + self.timeout)) is not None:
                if matches({"params": {"type": "test_request"}}, beat):
                    await pulse.ask(self.answer, timeout=self.timeout)
        except TimeoutError:
            return


def _check_message(option: str, message: Sendable) -> None:
    try:
        outgoing(message)
    except (TypeError, ValueError, RecursionError) as exc:
        problem = f"cannot be sent ({type(exc).__name__})"
    else:
        return
    raise ConfigError(f"heartbeat {option}", problem)


def _whole(seconds: float) -> float:
    """Return seconds as servers like them: 30, not 30.0."""
    return int(seconds) if seconds == int(seconds) else seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPing:
    """
    Messages that the server answers with messages, such as "ping" and "pong".

    Attributes:
        message: what is sent.
        answer: tells the server's answer.
        interval: seconds between pings; None takes `heartbeat_interval`.
        timeout: seconds in which the answer, or anything else, must come.
    """

    message: Sendable = field(repr=False)
    answer: Matcher = field(repr=False)
    interval: float | None = None
    timeout: float = 10.0

    def __post_init__(self) -> None:
        check_seconds(interval=self.interval, timeout=self.timeout)
        _check_message("message", self.message)

    def takes(self, data: Any) -> bool:
        """
        Whether it is the answer.

        Args:
            data: a message, decoded.
        """
        return matches(self.answer, data)

    async def run(self, pulse: Pulse) -> None:
        """
        Ping at each interval; return when one was not answered.

        Args:
            pulse: what it can do with the connection.
        """
        interval = pulse.interval if self.interval is None else self.interval
        while True:
            await anyio.sleep(interval)
            pulse.forget()
            sent_at = pulse.now()
            pulse.send(self.message)
            if await pulse.next(self.timeout) is None:
                return
            pulse.answered(sent_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerBeat:
    """
    Messages that the server sends by itself; a connection without them is dead, whatever else
    comes over it.

    Attributes:
        expects: tells the server's beat.
        timeout: seconds within which each must follow the one before.
        answer: what is sent for each, or None.
    """

    expects: Matcher = field(repr=False)
    timeout: float
    answer: Sendable | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_seconds(timeout=self.timeout)
        if self.answer is not None:
            _check_message("answer", self.answer)

    def takes(self, data: Any) -> bool:
        """
        Whether it is the beat.

        Args:
            data: a message, decoded.
        """
        return matches(self.expects, data)

    async def run(self, pulse: Pulse) -> None:
        """
        Wait for one beat after the other; return when one did not come in time.

        Args:
            pulse: what it can do with the connection.
        """
        while await pulse.next(self.timeout, strict=True) is not None:
            if self.answer is not None:
                pulse.send(self.answer)
