"""
The accounting of a run: what callers were told beside what servers saw.

Rule: pure functions of lists; each rule of the accounting is one of them, and each is held by a
test that shows it a violation.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .log import Answered, Link, ServerLog
    from .stalls import Stalls

ALLOWANCE: Final = 0.1
"""Seconds that a call may end after its deadline, on an event loop that is never late."""

DELIVERY: Final = 0.2
"""Seconds that a server has to read what was handed to a sound connection."""

NOTICED: Final = 2.0
"""Seconds after which a client knows at the latest that a server has ended a connection."""


class Ending(Enum):
    """What became of one request."""

    ANSWERED = "answered"
    HANDED_OVER = "handed over"
    NOT_SENT = "not sent"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    WRONG = "wrong answer"
    RAISED = "raised something else"
    HUNG = "never ended"


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What a caller was told about one request.

    Attributes:
        number: of the request.
        way: how it was sent.
        client: the one that was asked, as far as that is known.
        ending: what became of it.
        began: when the call began, by `time.monotonic`.
        ended: when it ended.
        limit: seconds that it had: its timeouts, or until its caller cancelled it.
        idempotent: whether it may be repeated.
        timed_out: whether it was handed over and no answer came in time.
        detail: the error, in words.
    """

    number: int
    way: str
    client: str | None
    ending: Ending
    began: float
    ended: float
    limit: float
    idempotent: bool = False
    timed_out: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept: which one, and what happened."""

    rule: str
    detail: str


@dataclass(slots=True)
class Evidence:
    """
    All that is known about a run.

    Attributes:
        total: how many requests there were, numbered from 0.
        outcomes: what callers were told.
        log: what servers saw.
        stalls: when the clients' loop was late.
    """

    total: int
    outcomes: Sequence[Outcome]
    log: ServerLog
    stalls: Stalls
    seen: Counter[int] = field(init=False)

    def __post_init__(self) -> None:
        self.seen = Counter(each.number for each in self.log.seen)


def each_has_one_outcome(evidence: Evidence) -> Iterator[str]:
    """Every request ends in exactly one way."""
    told = Counter(outcome.number for outcome in evidence.outcomes)
    for number in sorted(told.keys() | set(range(evidence.total))):
        if told[number] != 1 or number >= evidence.total:
            yield f"request {number} has {told[number]} outcomes"


def no_other_endings(evidence: Evidence) -> Iterator[str]:
    """No answer of another request, no error of another kind, and no call without an end."""
    bad = {Ending.WRONG, Ending.RAISED, Ending.HUNG}
    return (_shown(outcome) for outcome in evidence.outcomes if outcome.ending in bad)


def nothing_twice(evidence: Evidence) -> Iterator[str]:
    """What may not be repeated is seen once at most."""
    for outcome in evidence.outcomes:
        times = evidence.seen[outcome.number]
        if times > 1 and not outcome.idempotent:
            yield f"seen {times} times: {_shown(outcome)}"


def not_sent_is_never_seen(evidence: Evidence) -> Iterator[str]:
    """What was reported as not sent was seen by no server."""
    for outcome in evidence.outcomes:
        if outcome.ending is Ending.NOT_SENT and evidence.seen[outcome.number]:
            yield f"reported as not sent, yet seen: {_shown(outcome)}"


def answered_was_seen(evidence: Evidence) -> Iterator[str]:
    """An answer comes from a server."""
    for outcome in evidence.outcomes:
        if outcome.ending is Ending.ANSWERED and not evidence.seen[outcome.number]:
            yield f"answered, yet never seen: {_shown(outcome)}"


def nothing_is_late(evidence: Evidence) -> Iterator[str]:
    """A call ends at its deadline; the delays of the machine are not counted."""
    for outcome in evidence.outcomes:
        late = outcome.ended - outcome.began - outcome.limit - ALLOWANCE
        if late > 0 and late > evidence.stalls.lost(outcome.began, outcome.ended):
            yield f"{late + ALLOWANCE:.3f} s after its deadline: {_shown(outcome)}"


def no_answer_is_swallowed(evidence: Evidence) -> Iterator[str]:
    """An answer that came in time over a sound connection reaches its caller."""
    answers: defaultdict[int, list[Answered]] = defaultdict(list)
    for answer in evidence.log.answered:
        answers[answer.number].append(answer)
    for outcome in evidence.outcomes:
        if outcome.ending is Ending.UNKNOWN and not outcome.idempotent:
            for answer in answers[outcome.number]:
                if _came_in_time(answer, outcome, evidence):
                    yield f"swallowed the answer of {answer.at:.3f}: {_shown(outcome)}"


def _came_in_time(answer: Answered, outcome: Outcome, evidence: Evidence) -> bool:
    link = evidence.log.links[answer.connection]
    waited = outcome.ended - answer.at
    lost = evidence.stalls.lost(answer.at, outcome.ended)
    return link.sound_until(outcome.ended) and waited > ALLOWANCE + lost


def handed_over_arrives(evidence: Evidence) -> Iterator[str]:
    """What was handed to a connection that stayed sound arrives."""
    for outcome in evidence.outcomes:
        handed = outcome.ending is Ending.HANDED_OVER or outcome.timed_out
        if handed and not evidence.seen[outcome.number]:
            links = _links_of(outcome, evidence)
            if links and _could_arrive(outcome, links, evidence):
                ended = [
                    link
                    for link in links
                    if link.ended and link.ended < outcome.ended + DELIVERY
                ]
                yield f"handed over, yet never seen: {_shown(outcome)} (ended soon: {ended})"


def _links_of(outcome: Outcome, evidence: Evidence) -> list[Link]:
    """Return the connections over which it may have gone."""
    return [
        link
        for link in evidence.log.links
        if outcome.client in {None, link.client}
        and link.open_between(outcome.began - NOTICED, outcome.ended)
    ]


def _could_arrive(outcome: Outcome, links: list[Link], evidence: Evidence) -> bool:
    read_by = outcome.ended + DELIVERY
    for stalls in (evidence.stalls, evidence.log.stalls):
        if stalls.lost(outcome.ended, read_by) > DELIVERY / 2:
            return False  # the message may still have been on its way
    return all(link.sound_until(read_by) for link in links)


def frames_are_whole(evidence: Evidence) -> Iterator[str]:
    """Clients send whole frames, and none after their close frame."""
    yield from evidence.log.complaints
    for link in evidence.log.links:
        if link.cut and link.harmed is None and not _was_late(link.ended or 0.0, evidence):
            yield f"{link.client} ended a sound connection within a frame: {link}"


def _was_late(time: float, evidence: Evidence) -> bool:
    """Tell whether an end came of the machine: a deadline for the close frame passes then."""
    begin = time - NOTICED
    return any(
        stalls.lost(begin, time) > ALLOWANCE
        for stalls in (evidence.stalls, evidence.log.stalls)
    )


RULES: Final[tuple[Callable[[Evidence], Iterator[str]], ...]] = (
    each_has_one_outcome,
    no_other_endings,
    nothing_twice,
    not_sent_is_never_seen,
    answered_was_seen,
    nothing_is_late,
    no_answer_is_swallowed,
    handed_over_arrives,
    frames_are_whole,
)


def check(evidence: Evidence) -> list[Violation]:
    """Return every violation of every rule."""
    return [Violation(rule.__name__, detail) for rule in RULES for detail in rule(evidence)]


def _shown(outcome: Outcome) -> str:
    client = outcome.client or "the pool"
    took = outcome.ended - outcome.began
    return (
        f"request {outcome.number} by {outcome.way} over {client}: {outcome.ending.value} "
        f"after {took:.3f} s of {outcome.limit:.3f} s, at {outcome.ended:.3f} {outcome.detail}"
    )
