from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wsfleet import ClientSupervisor
from wsfleet.cli.summary import Tally, show_summary
from wsfleet.errors import DisconnectedError, NoConnectionsError

if TYPE_CHECKING:
    from collections.abc import Callable

UNKNOWN = DisconnectedError("a", None, "reset")


def good() -> Tally:
    """Return what a demonstration counts that went well."""
    tally = Tally(ClientSupervisor())
    tally.requests = 3
    tally.answer(0.1)
    tally.answer(0.2)
    tally.report(UNKNOWN)
    tally.by_client = {"a": {"before": 1, "during": 0, "after": 1}}
    return tally


def lose_a_request(tally: Tally) -> None:
    """Make one request more than there are outcomes."""
    tally.requests += 1


def answer_behind_its_back(tally: Tally) -> None:
    """Let a client count an answer that no caller got."""
    tally.by_client["a"]["during"] += 1


def send_nothing(tally: Tally) -> None:
    """Let a request find no client."""
    tally.requests += 1
    tally.report(NoConnectionsError(1))


def forget_a_client(tally: Tally) -> None:
    """Let a client that came back get nothing."""
    tally.by_client["b"] = {"before": 0, "during": 0, "after": 0}


def test_a_summary_that_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    """With an outcome for each request the demonstration went well: exit 0."""
    assert show_summary(good()) == 0
    assert "the numbers add up" in capsys.readouterr().out


@pytest.mark.parametrize(
    "spoil", [lose_a_request, answer_behind_its_back, send_nothing, forget_a_client]
)
def test_a_summary_that_does_not_add_up(
    spoil: Callable[[Tally], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A request without an outcome, or a client without its share, is told: exit 1."""
    tally = good()
    spoil(tally)

    assert show_summary(tally) == 1
    shown = capsys.readouterr().out
    assert shown.count("does not add up: ") == 1
    assert "the numbers add up" not in shown
