"""Faults of a user's own code."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel
import sniffio
import trio

from wsfleet import Message, PingPong, ServerBeat, TokenBucket
from wsfleet.errors import (
    RateLimitedError,
    StrayCancellationError,
    UnreadableAnswerError,
)
from wsfleet.venues import Venue

from .acts import ask, end, over, subscribe
from .bounds import sum_of
from .fault import ENDED, SAME, Life
from .peer import FAULT, Peer, then

if TYPE_CHECKING:
    from .fault import Options
    from .scene import Scene


class OwnError(Exception):
    """What the user's code raises."""


def crashes(name: str, words: str, options: Options, **more: Any) -> Life:
    """Return the fault that a user's code ends the client."""
    given: dict[str, Any] = {
        "serve": then(_answer_and_send),
        "act": end,
        "gets": OwnError,
        "connection": ENDED,
        "recover": None,
        "logs": ("client.crashed",),
        "shown": "what the code raised, out of `run`",
    }
    return Life(name=name, words=words, options=options, **(given | more))


async def _answer_and_send(peer: Peer, request: dict[str, Any]) -> None:
    await peer.answer(request)
    await peer.say({"price": 1})


async def _send_and_answer(peer: Peer, request: dict[str, Any]) -> None:
    await peer.say({"price": 1})
    await peer.answer(request)


def _raise(_: Any) -> Any:
    raise OwnError


async def _raise_later(_: Any) -> Any:
    await anyio.lowlevel.checkpoint()
    raise OwnError


def _cancel(_: Any) -> Any:
    if sniffio.current_async_library() == "trio":
        raise trio.Cancelled._create(source="unknown")
    raise asyncio.CancelledError


def _raise_for(*_: Any) -> Any:
    raise OwnError


class _RaisingHeartbeat:
    async def run(self, pulse: Any) -> None:
        await anyio.sleep(0.05)
        raise OwnError


class _RaisingLimiter(TokenBucket):
    async def acquire(self, message: Any, timeout: float | None = None) -> None:
        if FAULT in str(message):
            raise OwnError
        await super().acquire(message, timeout)


async def _ask_twice(scene: Scene) -> Any:
    await scene.client.request("first")
    return await ask(scene)


async def _block(scene: Scene) -> Any:
    """Keep the event loop busy while the answer is on its way."""
    answers: list[Any] = []
    async with anyio.create_task_group() as tasks:

        async def take_answer() -> None:
            answers.append(await ask(scene))

        tasks.start_soon(take_answer)
        await anyio.sleep(0.15)
        scene.begin_now()
        time.sleep(1.0)  # noqa: ASYNC251 - this is the fault
    return answers[0]


FUNCTIONS: Final = (
    crashes("handler-raises", "a handler raises", {"handler": _raise}, tells=1011, quick=True),
    crashes(
        "async-handler-raises",
        "an async handler raises",
        {"handler": _raise_later},
        tells=1011,
        quick=True,
    ),
    crashes(
        "handler-cancels",
        "a handler lets a cancellation out that nobody asked for",
        {"handler": _cancel},
        gets=StrayCancellationError,
        shown="`StrayCancellationError`, out of `run`",
        tells=1011,
    ),
    crashes(
        "heartbeat-raises",
        "a heartbeat of the user's raises",
        {"heartbeat": _RaisingHeartbeat()},
        act=over,
    ),
    Life(
        name="on-connect-raises",
        words="`on_connect` raises",
        act=ask,
        options={"on_connect": _raise},
        connection=SAME,
        logs=("client.callback_failed",),
        shown="the answer; `client.callback_failed` in the log",
        quick=True,
    ),
    Life(
        name="async-on-connect-raises",
        words="an async `on_connect` raises",
        act=ask,
        options={"on_connect": _raise_later},
        connection=SAME,
        logs=("client.callback_failed",),
        shown="the answer; `client.callback_failed` in the log",
    ),
    Life(
        name="limiter-raises",
        words="a limiter of the user's raises",
        act=ask,
        options=lambda _: {"limiter": _RaisingLimiter(10, 10)},
        gets=OwnError,
        connection=SAME,
        shown="what the limiter raised; nothing was sent",
    ),
    Life(
        name="limiter-has-no-room",
        words="the client's limiter has no room",
        act=_ask_twice,
        options=lambda _: {"limiter": TokenBucket(1, 5)},
        gets=RateLimitedError,
        sent=False,
        connection=SAME,
        quick=True,
    ),
    Life(
        name="loop-blocked",
        words="user code blocks the event loop for a second, with a heartbeat of 0.3 s",
        act=_block,
        options={"heartbeat": PingPong(interval=0.1, timeout=0.3)},
        detect=sum_of(seconds=1.0),
        connection=SAME,
        logs=("loop.stalled",),
        shown="the answer; `loop.stalled` in the log",
        alone=True,
    ),
    Life(
        name="decode-raises",
        words="the function `decode` raises",
        serve=then(_send_and_answer),
        act=ask,
        options={"decode": _raise},
        connection=SAME,
        events=(Message,),
        logs=("venue.function_failed",),
        shown="the answer; the message as text; `venue.function_failed` in the log",
        quick=True,
    ),
    Life(
        name="read-ack-raises",
        words="the function `read_ack` of a venue raises",
        act=subscribe,
        options={"venue": Venue(read_ack=_raise_for)},
        gets=UnreadableAnswerError,
        connection=SAME,
        logs=("venue.function_failed",),
        quick=True,
    ),
    Life(
        name="heartbeat-matcher-raises",
        words="the function that tells a heartbeat's messages raises",
        serve=then(_send_and_answer),
        act=ask,
        options={"heartbeat": ServerBeat(expects=_raise, timeout=60.0)},
        connection=SAME,
        events=(Message,),
        logs=("venue.function_failed",),
        shown="the answer; the message; `venue.function_failed` in the log",
    ),
    Life(
        name="loop-blocked-past-the-deadline",
        words="user code blocks the event loop until the answer's time is over",
        act=_block,
        options={"request_timeout": 0.5},
        detect=sum_of(seconds=1.0),
        connection=SAME,
        shown="the answer, which waited in the socket",
        alone=True,
    ),
)
