"""Faults of a user's own code, and of the pace at which it takes events."""

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
    BackpressureError,
    InboxOverflowError,
    RateLimitedError,
    StrayCancellationError,
    UnreadableAnswerError,
)
from wsfleet.venues import Venue

from .acts import NOTIFICATION, ask, end, over, subscribe
from .bounds import sum_of
from .fault import ENDED, SAME, Life
from .peer import Peer, then

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .fault import Options
    from .scene import Scene

EVENTS: Final = 100
KEPT: Final = 4


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


def takes(name: str, words: str, overflow: str, **more: Any) -> Life:
    """Return the fault that more events come than an inbox holds."""
    options = {"handler": None, "inbox_size": KEPT, "overflow": overflow}
    given: dict[str, Any] = {"serve": then(_send_many), "act": _iterate, "connection": SAME}
    return Life(name=name, words=words, options=options, **(given | more))


async def _answer_and_send(peer: Peer, request: dict[str, Any]) -> None:
    await peer.answer(request)
    await peer.say({"price": 1})


async def _send_and_answer(peer: Peer, request: dict[str, Any]) -> None:
    await peer.say({"price": 1})
    await peer.answer(request)


async def _send_many(peer: Peer, request: dict[str, Any]) -> None:
    await peer.say("start")
    for number in range(EVENTS):
        await peer.say({"number": number})
    await peer.answer(request)


async def _iterate(scene: Scene) -> Any:
    """Ask, and then take what the inbox has kept; return the answer where that is right."""
    events = aiter(scene.client)
    answer: list[Any] = []
    async with anyio.create_task_group() as tasks:

        async def take_answer() -> None:
            answer.append(await ask(scene))

        tasks.start_soon(take_answer)
        await anext(events)
    numbers: list[int] = []
    count = EVENTS if scene.client.config.overflow == "block" else KEPT
    while len(numbers) < count:
        event = await anext(events)
        if isinstance(event.data, dict):
            numbers.append(event.data["number"])
    newest = list(range(EVENTS - KEPT, EVENTS))
    right = {"block": list(range(EVENTS)), "drop_oldest": newest}
    expected = right.get(scene.client.config.overflow)
    if expected is None:
        return answer[0] if numbers == sorted(numbers) and numbers[0] < KEPT else numbers
    return answer[0] if numbers == expected else numbers


async def _iterate_to_the_end(scene: Scene) -> Any:
    events = aiter(scene.client)
    scene.client.send_nowait(NOTIFICATION)
    await anext(events)
    return await over(scene)


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


class _RaisingLimiter:
    def spend(self, now: float, message: Any) -> None:
        raise OwnError

    def acquire(self, now: float, message: Any) -> float:
        raise OwnError


def _asking(scene: Scene) -> Mapping[str, Any]:
    """Return a handler that makes a request for each event."""

    async def handler(event: Any) -> None:
        if isinstance(event, Message):
            assert await scene.client.request("each") is not None

    return {"handler": handler, "inbox_size": KEPT, "request_timeout": 5.0}


def _stuck(scene: Scene) -> Mapping[str, Any]:
    """Return a handler that takes no event while the request is in flight."""

    async def handler(_: Any) -> None:
        await scene.asked.wait()

    return {"handler": handler, "inbox_size": KEPT, "inbox_bytes": 1000}


async def _ask_and_release(scene: Scene) -> Any:
    try:
        return await ask(scene)
    finally:
        scene.asked.set()


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
    takes(
        "inbox-blocks", 'events come faster than they are taken: `overflow="block"`', "block"
    ),
    takes(
        "inbox-drops-oldest",
        'events come faster than they are taken: `overflow="drop_oldest"`',
        "drop_oldest",
        shown="the answer, and the newest events",
    ),
    takes(
        "inbox-drops-newest",
        'events come faster than they are taken: `overflow="drop_newest"`',
        "drop_newest",
        shown="the answer, and the oldest events",
    ),
    takes(
        "inbox-fails",
        'events come faster than they are taken: `overflow="fail"`',
        "fail",
        act=_iterate_to_the_end,
        gets=InboxOverflowError,
        connection=ENDED,
        recover=None,
        shown="`InboxOverflowError`, out of `run`",
        quick=True,
    ),
    Life(
        name="handler-asks-for-each-event",
        words="a handler makes a request for each event, and more events come than fit",
        serve=then(_send_many),
        act=ask,
        options=_asking,
        connection=SAME,
        quick=True,
    ),
    Life(
        name="handler-takes-nothing",
        words="a handler takes no event, and events before the answer fill `inbox_bytes`",
        serve=then(_send_many),
        act=_ask_and_release,
        options=_stuck,
        gets=BackpressureError,
        sent=None,
        connection=SAME,
        quick=True,
    ),
)
