"""Faults in answers and other messages that are good frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wsfleet import Binary, Message, UnmatchedResponse
from wsfleet.errors import JsonRpcError, RequestTimeoutError

from .acts import ask, hear
from .bounds import sum_of
from .fault import SAME, Life
from .life_frames import survives
from .peer import Peer, frame, then

if TYPE_CHECKING:
    from collections.abc import Callable

    from .peer import Script


def says(make: Callable[[Any], Any], *, answered: bool = True) -> Script:
    """
    Return a script that sends a message made from the request's id.

    Args:
        make: given the id, returns text or what becomes JSON.
        answered: whether the right answer follows.
    """

    async def harm(peer: Peer, request: dict[str, Any]) -> None:
        await peer.say(make(request.get("id")))
        if answered:
            await peer.answer(request)

    return then(harm)


def delivers(
    name: str, words: str, make: Callable[[Any], Any], kind: type[Any] = Message, **more: Any
) -> Life:
    """Return the fault that a strange message comes before the answer, and is an event."""
    return Life(
        name=name,
        words=words,
        serve=says(make),
        act=ask,
        connection=SAME,
        events=(kind,),
        shown=f"the answer; an event `{kind.__name__}`",
        **more,
    )


def fails(name: str, words: str, error: Any, pattern: str, **more: Any) -> Life:
    """Return the fault that a request is answered with an error."""
    return Life(
        name=name,
        words=words,
        serve=says(lambda request_id: {"id": request_id, "error": error}, answered=False),
        act=ask,
        gets=JsonRpcError,
        says=pattern,
        connection=SAME,
        **more,
    )


def unanswered(name: str, words: str, make: Callable[[Any], Any], **more: Any) -> Life:
    """Return the fault that what comes is no answer to the request."""
    return Life(
        name=name,
        words=words,
        serve=says(make, answered=False),
        act=ask,
        options={"request_timeout": 0.3},
        gets=RequestTimeoutError,
        sent=None,
        detect=sum_of("request_timeout"),
        connection=SAME,
        **more,
    )


async def _twice(peer: Peer, request: dict[str, Any]) -> None:
    await peer.answer(request)
    await peer.answer(request)


async def _binary(peer: Peer, request: dict[str, Any]) -> None:
    await peer.write(frame(2, b'{"id": 1, "result": 2}'))
    await peer.answer(request)


ANSWERS: Final = (
    delivers(
        "unknown-id",
        "an answer comes to a request that nobody made",
        lambda _: {"id": 10**9, "result": 1},
        UnmatchedResponse,
        quick=True,
    ),
    survives(
        "answered-twice",
        "the answer comes twice",
        _twice,
        events=(UnmatchedResponse,),
        shown="the answer; an event `UnmatchedResponse`",
        quick=True,
    ),
    delivers(
        "id-is-a-list",
        "the id of an answer is a list",
        lambda request_id: {"id": [request_id], "result": 1},
        UnmatchedResponse,
        quick=True,
    ),
    delivers(
        "id-is-null",
        "an error comes whose id is null",
        lambda _: {"id": None, "error": {"code": -32700, "message": "what?"}},
    ),
    delivers(
        "id-is-text",
        "the id of an answer is the text of the number",
        lambda request_id: {"id": str(request_id), "result": 1},
        UnmatchedResponse,
    ),
    delivers(
        "id-is-true",
        "the id of an answer is `true`",
        lambda _: {"id": True, "result": 1},
        UnmatchedResponse,
    ),
    fails("error", "the server answers with an error", {"code": 5, "message": "no"}, "5: no"),
    fails(
        "error-code-is-a-list",
        "the code of an error is a list",
        {"code": [1], "message": "odd"},
        "odd",
        quick=True,
    ),
    fails(
        "error-code-is-huge",
        "the code of an error has 400 digits",
        {"code": 10**400, "message": "huge"},
        "huge",
    ),
    fails("error-is-text", "the error is a text", "broken", "broken"),
    fails("error-is-empty", "the error is an empty object", {}, "error"),
    fails(
        "error-and-result",
        "an answer has an error and a result",
        {"code": 6, "message": "both"},
        "both",
    ),
    Life(
        name="neither-error-nor-result",
        words="an answer has neither an error nor a result",
        serve=says(lambda request_id: {"id": request_id}, answered=False),
        act=ask,
        connection=SAME,
        shown="`None`, as the result",
    ),
    delivers(
        "batch",
        "the server sends a batch: an array of answers",
        lambda _: [{"id": 10**9, "result": 1}],
        quick=True,
    ),
    delivers("not-json", "a text is no JSON", lambda _: "{not json", quick=True),
    delivers("empty-text", "a text is empty", lambda _: ""),
    delivers(
        "lone-surrogate", "a text in JSON has half of a surrogate pair", lambda _: '["\\ud800"]'
    ),
    delivers("nan", "a number is `NaN`, which JSON does not have", lambda _: '{"a": NaN}'),
    delivers("huge-number", "a number has 5,000 digits", lambda _: "[" + "9" * 5000 + "]"),
    delivers("deep", "JSON is nested 100,000 levels deep", lambda _: "[" * 100_000),
    delivers(
        "deep-object", "objects are nested 100,000 levels deep", lambda _: '{"a":' * 100_000
    ),
    survives(
        "answer-in-binary",
        "a binary message looks like an answer",
        _binary,
        events=(Binary,),
        shown="the answer; an event `Binary`",
    ),
    unanswered(
        "answer-too-deep",
        "the answer is nested so deep that nobody can read it",
        lambda request_id: f'{{"id": {request_id}, "result": {"[" * 100_000}',
        events=(Message,),
    ),
    Life(
        name="notification-like-an-answer",
        words="a message has the id of a request and a method: a request of the server's",
        serve=says(lambda request_id: {"id": request_id, "method": "m", "result": 1}),
        act=hear(Message),
        gets=Message,
        connection=SAME,
    ),
)
