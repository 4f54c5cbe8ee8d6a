from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from wsfleet.errors import ConnectTimeoutError

from . import page
from .__main__ import line
from .bounds import AT_ONCE, Bound, sum_of
from .fault import NEW, SAME, Fault, Life
from .life_ends import ENDS
from .matrix import ATTEMPTS, LIVES
from .run import Seen
from .together import play_all, problems_of, unhandled_errors

if TYPE_CHECKING:
    from pathlib import Path

MARGIN = 5.0
"""Seconds that each bound has for the work, on a machine that runs other tests as well."""

ALL: tuple[Fault, ...] = (*ATTEMPTS, *LIVES)
QUICK_ATTEMPTS = [fault for fault in ATTEMPTS if fault.quick]
QUICK_LIVES = [fault for fault in LIVES if fault.quick]
BY_NAME = {fault.name: fault for fault in ALL}


async def problems(*faults: Fault, margin: float = MARGIN) -> list[str]:
    """Play faults all at once, and return what is other than expected."""
    return problems_of(await play_all(faults, at_once=len(faults), margin=margin))


async def test_faults_of_an_attempt() -> None:
    """Whatever goes wrong with an attempt to connect, the caller gets what the page says."""
    assert len(QUICK_ATTEMPTS) >= 20
    assert await problems(*QUICK_ATTEMPTS) == []


async def test_faults_of_a_life() -> None:
    """Whatever goes wrong with a connection, the caller gets what the page says."""
    assert len(QUICK_LIVES) >= 20
    assert await problems(*QUICK_LIVES) == []


def test_the_page_says_what_the_faults_say() -> None:
    """The page lists all faults, and says of each what the runs check."""
    assert page.is_right(), "run `nox -s faults -- --write`"


def test_there_are_sixty_of_each_kind() -> None:
    """The matrix has sixty faults of each kind, and no two are the same."""
    assert len(ATTEMPTS) >= 60
    assert len(LIVES) >= 60
    for fault in ALL:
        assert [other.name for other in ALL if other.name == fault.name] == [fault.name]
        assert [other.name for other in ALL if other.words == fault.words] == [fault.name]


def test_a_page_that_says_something_else_is_found(tmp_path: Path) -> None:
    """A page with another number, or with a fault less, is told from the right one."""
    text = page.PAGE.read_text()
    line = page.row(ATTEMPTS[0])
    for wrong in (text.replace(line, line.replace("6 s", "9 s")), text.replace(line, "")):
        other = tmp_path / "faults.md"
        other.write_text(wrong)
        assert not page.is_right(other)
        page.write(other)
        assert other.read_text() == text


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("port-closed", {"gets": ConnectTimeoutError}, "not ConnectTimeoutError"),
    ("port-closed", {"says": "no such words"}, "no such words"),
    ("port-closed", {"recover": None}, "it was tried 4 times"),
    ("status-401", {"code": 403}, "its code is 401"),
    ("status-401", {"recover": AT_ONCE}, "not recoverable"),
    ("reset", {"sent": False}, "sent is None"),
    ("reset", {"connection": SAME}, "a new connection was opened: True"),
    ("unknown-id", {"connection": NEW}, "a new connection was opened: False"),
    ("masked", {"tells": 1007}, "close code 1002"),
]


@pytest.mark.parametrize(("name", "changes", "problem"), WRONG)
async def test_a_wrong_expectation_is_found(
    name: str, changes: dict[str, Any], problem: str
) -> None:
    """A fault that is met in another way than its line says fails the run."""
    found = await problems(replace(BY_NAME[name], **changes))

    assert problem in "; ".join(found)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_time_that_is_too_long_is_found() -> None:
    """What takes longer than its bound fails the run, also when it is played again."""
    (found,) = await problems(
        replace(BY_NAME["accepted-then-silent"], detect=AT_ONCE, recover=sum_of("timeout")),
        margin=0.05,
    )

    assert "detected after" in found


async def test_a_script_that_fails_is_found() -> None:
    """A mistake in a server's script fails the run, and is not taken for the fault."""

    async def mistaken(peer: Any) -> None:
        raise LookupError

    found = await problems(Life(name="mine", words="mine", serve=mistaken, act=ENDS[0].act))

    assert "it could not be played: LookupError()" in "; ".join(found)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_error_that_nobody_handles_is_found() -> None:
    """What reaches the event loop's exception handler fails the run."""
    with unhandled_errors() as found:
        asyncio.get_running_loop().call_exception_handler({"message": "odd"})

    assert found == ["odd: None"]


def test_a_bound_is_the_sum_of_its_options() -> None:
    """A bound has the seconds of a run's options in the run, and the defaults on the page."""
    bound = sum_of("timeout", "retry_delay", "retry_delay", seconds=0.5)

    assert bound.limit({"timeout": 0.25, "retry_delay": 0.125}, margin=1.0) == 2.0
    assert bound.cell == "`timeout` + 2 x `retry_delay`: 8.5 s"
    assert Bound().cell == "1 s"


def test_the_command_tells_what_was_seen() -> None:
    """A run prints each fault with its times, and below it what was wrong."""
    seen = Seen(got=TimeoutError(), detected=1.25, recovered=None, problems=["it was slow"])
    first, second = line("trio", "mine", seen).splitlines()

    assert first.split() == ["trio", "mine", "1.25", "s", "-", "s", "TimeoutError"]
    assert second.strip() == "it was slow"
