"""Faults of the pace at which a user's code takes events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio

from wsfleet import Message
from wsfleet.errors import BackpressureError, InboxOverflowError

from .acts import NOTIFICATION, ask, over
from .fault import ENDED, SAME, Life
from .peer import Peer, then

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .scene import Scene

EVENTS: Final = 100
KEPT: Final = 4


def takes(name: str, words: str, overflow: str, **more: Any) -> Life:
    """Return the fault that more events come than an inbox holds."""
    options = {"handler": None, "inbox_size": KEPT, "overflow": overflow}
    given: dict[str, Any] = {"serve": then(_send_many), "act": _iterate, "connection": SAME}
    return Life(name=name, words=words, options=options, **(given | more))


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


INBOXES: Final = (
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
