"""What a client does with each message in C is what it does in plain Python."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsfleet import Message
from wsfleet._client import messages, speedups, straight
from wsfleet._client.correlation import Correlation

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(not speedups.COMPILED, reason="runs in plain Python here")


class Log:
    """Writes down what becomes of messages."""

    def __init__(self, base: type[straight.StraightDelivery], outcomes: list[Any]) -> None:
        log: list[Any] = []
        requests = Correlation("client")
        left = iter(outcomes)

        def take(event: Any) -> Any:
            log.append(event)
            outcome = next(left, None)
            if isinstance(outcome, BaseException):
                raise outcome
            return empty() if outcome == "coroutine" else outcome

        class Delivery(base):  # type: ignore[misc, valid-type]
            """Knows of responses what the test says."""

            def _answers(self, data: dict[str, Any]) -> bool:
                log.append(("answers", data))
                if "method" not in data and requests.resolve(data["id"], data):
                    return True
                return bool(data.get("method") == "mine")

            def _resolve(self, text: str) -> bool:
                log.append(("resolve", text))
                return "mine" in text

            def _undecoded(self, text: str, error: BaseException) -> None:
                log.append(("undecoded", text, type(error), self._decode is decode))

        self.log = log
        self.requests = requests
        self.delivery: straight.StraightDelivery = Delivery(
            requests, take, decode, lambda error: log.append((type(error), str(error)))
        )

    def await_answer(self, request_id: Any) -> None:
        """Have somebody await a response."""
        self.requests.waiting[request_id] = Awaiting(self.log)

    def pass_all(self, taken: list[tuple[str, Any]]) -> list[Any]:
        """Let messages pass, and return what became of them."""
        for way, data in taken:
            try:
                getattr(self.delivery, way)(data)
            except KeyboardInterrupt:
                self.log.append("interrupted")
        return [*self.log, self.delivery.received, [*self.requests.waiting]]


class Awaiting:
    """Writes an answer down."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log

    def set(self, value: object) -> None:
        self.log.append(("answered", value))


async def empty() -> None:
    """Do nothing."""


def decode(text: str) -> str:
    """Decode as a user's function might: not everything."""
    if "bad" in text:
        raise ValueError(text)
    return text.upper()


IDS = [1, "a", 1.5, True, None, [1]]
NO_ID: dict[str, Any] = {}
ID = st.one_of(st.just(NO_ID), st.sampled_from([{"id": one} for one in IDS]))
METHOD = st.sampled_from([{}, {"method": "mine"}, {"method": "yours"}])
OBJECTS = st.builds(lambda one, other: {**one, **other}, ID, METHOD)
TEXTS = st.sampled_from(
    ["x", '{"id":1}', '{"id":"mine"}', '"wsfleet-1"', "mine wsfleet-", "bad"]
)
TAKEN = st.lists(
    st.one_of(
        st.tuples(st.just("on_json"), st.one_of(OBJECTS, st.integers(), st.lists(OBJECTS))),
        st.tuples(st.sampled_from(["on_raw", "on_undecoded"]), TEXTS),
    ),
    max_size=8,
)
OUTCOMES = st.lists(
    st.sampled_from([None, None, 0, "text", "coroutine", ValueError("x"), KeyboardInterrupt()]),
    max_size=8,
)


@settings(max_examples=400)
@given(
    taken=TAKEN,
    outcomes=OUTCOMES,
    awaited=st.sampled_from([{1, "a", 1.5}, {"a"}, set()]),
    asked=st.booleans(),
)
def test_both_deliver_alike(
    taken: list[tuple[str, Any]], outcomes: list[Any], awaited: set[Any], *, asked: bool
) -> None:
    """Whatever comes, and whatever a handler makes of it, the same happens."""
    seen = []
    for base in (straight.StraightDelivery, speedups.StraightDelivery):
        both = Log(base, outcomes)
        both.requests.asked = asked
        for request_id in awaited:
            both.await_answer(request_id)
        seen.append(both.pass_all(taken))
    plainly, compiled = seen
    # An answer for somebody who awaits it needs no second look in C.
    assert _without_looks(plainly) == _without_looks(compiled)


def _without_looks(log: list[Any]) -> list[Any]:
    """Leave out that the subclass was asked."""
    return [entry for entry in log if not (type(entry) is tuple and entry[0] == "answers")]


@pytest.mark.parametrize("base", [straight.StraightDelivery, speedups.StraightDelivery])
def test_a_handler_can_be_replaced_by_itself(base: type[straight.StraightDelivery]) -> None:
    """Who takes events may put another in its place while it is at it."""
    both = Log(base, [])
    first: list[Any] = []
    second: list[Any] = []

    def replace(event: Any) -> None:
        first.append(event)
        both.delivery._take = second.append

    both.delivery._take = replace
    both.pass_all([("on_raw", "a"), ("on_raw", "b")])

    assert (first, second) == ([Message("a")], [Message("b")])


@given(
    payload=st.one_of(
        st.binary(max_size=20),
        st.sampled_from(
            [b"{}", b"[1, 2.5]", b"null", b"tru", b"[" * 100_000, b'"\xff"', b"\xff"]
        ),
    )
)
def test_both_decode_the_same(payload: bytes) -> None:
    """JSON is decoded, other text stays text, and what is no UTF-8 is an error."""
    plainly = outcome_of(messages.json_or_text, payload)
    assert plainly == outcome_of(speedups.json_or_text, payload)


def outcome_of(decode: Callable[[bytes], Any], payload: bytes) -> Any:
    """Return what it returns, or the kind of error."""
    try:
        return repr(decode(payload))
    except UnicodeDecodeError as error:
        return type(error)


def test_messages_leave_nothing_behind() -> None:
    """However many messages pass, errors and answers included, no memory stays in use."""
    both = Log(speedups.StraightDelivery, [])

    def take(event: Any) -> Any:
        if event.data == "fail":
            raise ValueError
        return event.data

    def pass_some() -> None:
        for data in ("fail", "x", {"id": 1}, {"id": 1, "method": "mine"}, [1.5]):
            both.await_answer(1)
            both.delivery.on_json(data)
        for text in ("fail", "bad", '{"id":"mine"}'):
            both.delivery.on_raw(text)
            both.delivery.on_undecoded(text)
        for payload in (b"{}", b"no", b"\xff"):
            outcome_of(speedups.json_or_text, payload)
        both.log.clear()

    both.delivery._take = take
    for _ in range(100):
        pass_some()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(2000):
        pass_some()
    gc.collect()
    assert sys.getallocatedblocks() < before + 1000
