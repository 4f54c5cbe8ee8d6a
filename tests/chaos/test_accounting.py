from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from .accounting import ALLOWANCE, DELIVERY, RULES, Ending, Evidence, Outcome, check
from .log import Answered, Link, Seen, ServerLog
from .stalls import Stalls


def outcome(ending: Ending = Ending.ANSWERED, **changes: Any) -> Outcome:
    """Return what came of request 0: asked of "a" at 10.0, over at 10.2, with half a second."""
    plain = Outcome(0, "request", "a", ending, began=10.0, ended=10.2, limit=0.5)
    return replace(plain, **changes)


def log(times: int = 1, answered: float | None = None, **link: Any) -> ServerLog:
    """Return what a server saw that got request 0 so often over one connection."""
    return ServerLog(
        seen=[Seen(0, 0, 10.05 + at) for at in range(times)],
        answered=[] if answered is None else [Answered(0, 0, answered)],
        links=[Link(0, 0, "a", opened=1.0, **link)],
    )


def broken(told: Outcome, saw: ServerLog, stalls: Stalls | None = None) -> set[str]:
    """Return the names of the rules that this breaks."""
    found = check(Evidence(1, [told], saw, stalls or Stalls()))
    return {violation.rule for violation in found}


@pytest.mark.parametrize(
    ("told", "saw"),
    [
        (outcome(), log(answered=10.1)),
        (outcome(Ending.NOT_SENT), log(times=0)),
        (outcome(Ending.UNKNOWN, ended=10.5), log()),
        (outcome(Ending.UNKNOWN, ended=10.5), log(times=0)),
        (outcome(Ending.CANCELLED), log()),
        (outcome(Ending.CANCELLED), log(times=0)),
        (outcome(Ending.HANDED_OVER), log()),
        (outcome(idempotent=True), log(times=3)),
    ],
)
def test_what_may_happen_is_no_violation(told: Outcome, saw: ServerLog) -> None:
    """An answer, an error that says what was sent, a cancellation: each may happen."""
    assert broken(told, saw) == set()


def test_a_request_without_an_outcome_is_found() -> None:
    """Each request ends in one way: none may be forgotten, none may end twice."""
    evidence = Evidence(2, [outcome(), outcome()], log(), Stalls())

    rules = Counter(violation.rule for violation in check(evidence))

    assert rules == {"each_has_one_outcome": 2}


@pytest.mark.parametrize("ending", [Ending.WRONG, Ending.RAISED, Ending.HUNG])
def test_a_wrong_answer_a_foreign_error_and_a_hanging_call_are_found(ending: Ending) -> None:
    """A call ends with its own answer or with a SendError, and it ends."""
    assert broken(outcome(ending), log()) == {"no_other_endings"}


@pytest.mark.parametrize("ending", [Ending.ANSWERED, Ending.UNKNOWN, Ending.CANCELLED])
def test_what_was_done_twice_is_found(ending: Ending) -> None:
    """A server sees nothing twice that its caller did not declare idempotent."""
    assert broken(outcome(ending), log(times=2)) == {"nothing_twice"}


def test_what_was_sent_though_its_error_denies_it_is_found() -> None:
    """`sent=False` means that no server ever saw it."""
    assert broken(outcome(Ending.NOT_SENT), log()) == {"not_sent_is_never_seen"}


def test_an_answer_to_what_was_never_seen_is_found() -> None:
    """What no server saw cannot have been answered."""
    assert broken(outcome(), log(times=0)) == {"answered_was_seen"}


@pytest.mark.parametrize("ending", [Ending.ANSWERED, Ending.UNKNOWN, Ending.CANCELLED])
def test_a_call_that_ends_late_is_found(ending: Ending) -> None:
    """A call ends within its limit and the allowance."""
    in_time = outcome(ending, ended=10.5 + ALLOWANCE - 0.01)
    late = outcome(ending, ended=10.5 + ALLOWANCE + 0.01)

    assert broken(in_time, log()) == set()
    assert broken(late, log()) == {"nothing_is_late"}


def test_a_late_event_loop_excuses_as_much_as_it_was_late() -> None:
    """The machine's delays are not the library's, but they excuse nothing else."""
    late = outcome(ended=10.9)

    assert broken(late, log(), Stalls([(10.3, 10.65)])) == set()
    assert broken(late, log(), Stalls([(10.3, 10.5)])) == {"nothing_is_late"}
    assert broken(late, log(), Stalls([(9.0, 10.1), (10.8, 12.0)])) == {"nothing_is_late"}


def test_a_swallowed_answer_is_found() -> None:
    """An answer that came in time over a sound connection reaches its caller."""
    gave_up = outcome(Ending.UNKNOWN, ended=10.5)

    assert broken(gave_up, log(answered=10.1)) == {"no_answer_is_swallowed"}
    assert broken(gave_up, log(answered=10.45)) == set()
    assert broken(gave_up, log(answered=10.1, harmed=10.3)) == set()
    assert broken(gave_up, log(answered=10.1), Stalls([(10.1, 10.45)])) == set()


def test_a_message_that_was_lost_after_it_was_handed_over_is_found() -> None:
    """What was handed to a connection that stayed sound arrives."""
    handed = outcome(Ending.HANDED_OVER)

    assert broken(handed, log(times=0)) == {"handed_over_arrives"}
    assert broken(replace(handed, client=None), log(times=0)) == {"handed_over_arrives"}
    assert broken(handed, log(times=0, harmed=10.2 + DELIVERY / 2)) == set()
    assert broken(handed, log(times=0, harmed=10.3 + DELIVERY)) == {"handed_over_arrives"}
    assert broken(handed, log(times=0, ended=1.5)) == set()
    assert broken(handed, log(times=0, harmed=9.9, ended=9.9)) == set()


def test_a_request_that_timed_out_because_it_never_left_is_found() -> None:
    """A request that was handed over may stay unanswered, but it arrives."""
    timed_out = outcome(Ending.UNKNOWN, ended=10.5, timed_out=True)

    assert broken(timed_out, log(times=0)) == {"handed_over_arrives"}
    assert broken(timed_out, log(times=1)) == set()


def test_a_server_that_was_late_itself_proves_nothing() -> None:
    """What a server could not read in time is not held against the client."""
    saw = log(times=0)
    saw.stalls.spans.append((10.2, 10.2 + DELIVERY))

    assert broken(outcome(Ending.HANDED_OVER), saw) == set()


def test_a_damaged_frame_is_found() -> None:
    """Clients send whole frames, and none after their close frame."""
    saw = log()
    saw.complaints.append("a frame was cut")

    assert broken(outcome(), saw) == {"frames_are_whole"}


def test_a_connection_that_a_client_ended_within_a_frame_is_found() -> None:
    """A client that closes has sent what it began, unless a fault or a stall cut it."""
    stalled = Stalls([(10.5, 11.0)])

    assert broken(outcome(), log(ended=11.0, cut=True)) == {"frames_are_whole"}
    assert broken(outcome(), log(ended=11.0, cut=True, harmed=10.9)) == set()
    assert broken(outcome(), log(ended=11.0, cut=True), stalled) == set()


def test_a_log_arrives_as_it_was_written() -> None:
    """The accounting gets what the servers wrote."""
    saw = log(times=2, answered=10.1, harmed=11.0)
    saw.faults["reset"] = 3
    saw.stalls.spans.append((1.0, 2.0))

    assert ServerLog.of_json(saw.to_json()) == saw


def test_every_rule_has_its_sentence() -> None:
    """A violation is reported by the name of its rule, which is explained where it is held."""
    assert all(rule.__doc__ for rule in RULES)
