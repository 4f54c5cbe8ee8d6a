from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfleet import ClientState
from wsfleet._client.health import Health
from wsfleet._client.latency import LatencyWindow, percentile
from wsfleet._client.states import TRANSITIONS, Phase, Step, after


def walk(*steps: Step) -> Phase:
    """Take the steps from the beginning of a life."""
    phase = Phase.NEW
    for step in steps:
        phase = after(phase, step)
    return phase


@pytest.mark.parametrize(
    ("steps", "phase", "state"),
    [
        ((), Phase.NEW, "disconnected"),
        ((Step.CONNECT,), Phase.CONNECTING, "connecting"),
        ((Step.CONNECT, Step.OPEN), Phase.CONNECTED, "connected"),
        ((Step.CONNECT, Step.OPEN, Step.LOSE), Phase.LOST, "disconnected"),
        ((Step.CONNECT, Step.SCHEDULE), Phase.WAITING, "disconnected"),
        ((Step.CONNECT, Step.SCHEDULE, Step.CONNECT), Phase.CONNECTING, "connecting"),
        ((Step.CONNECT, Step.FAIL), Phase.FAILED, "disconnected"),
        ((Step.CONNECT, Step.OPEN, Step.LOSE, Step.CRASH), Phase.CRASHED, "disconnected"),
        ((Step.CONNECT, Step.OPEN, Step.LOSE, Step.CLOSE), Phase.CLOSED, "disconnected"),
        ((Step.CONNECT, Step.FAIL, Step.CONNECT), Phase.CONNECTING, "connecting"),
    ],
)
def test_a_life_step_by_step(steps: tuple[Step, ...], phase: Phase, state: str) -> None:
    """What happens to a client leads to the state that its user sees."""
    assert walk(*steps) is phase
    assert phase.state == state
    assert isinstance(phase.state, ClientState)


@pytest.mark.parametrize(
    "steps",
    [
        (Step.OPEN,),
        (Step.CONNECT, Step.CONNECT),
        (Step.CONNECT, Step.OPEN, Step.OPEN),
        (Step.CONNECT, Step.OPEN, Step.CLOSE),
        (Step.CONNECT, Step.OPEN, Step.FAIL),
        (Step.CONNECT, Step.FAIL, Step.OPEN),
    ],
)
def test_what_cannot_happen_is_a_bug(steps: tuple[Step, ...]) -> None:
    """A connection is lost before the client ends; other orders are bugs, and say so."""
    with pytest.raises(RuntimeError, match="report this bug"):
        walk(*steps)


def test_no_phase_is_a_dead_end() -> None:
    """From everywhere a client can come to be connected."""
    reachable = {Phase.CONNECTED}
    for _ in Phase:
        reachable |= {p for p, row in TRANSITIONS.items() if reachable & set(row.values())}

    assert reachable == set(Phase)


def test_health_counts_load_latency_and_errors() -> None:
    """
    A client at rest has 100; requests in flight, slow replies and errors cost, up to a bound.
    """
    health = Health()
    assert health.score(0, 0.0) == 100
    assert health.score(1, 0.0) == 90
    assert health.score(100, 0.0) == 60
    health.answered(0.25, 0.0)
    assert health.score(0, 0.0) == pytest.approx(90)
    health.answered(60.0, 0.0)
    assert health.score(0, 0.0) == pytest.approx(70)
    health.failed(0.0)
    assert health.score(0, 0.0) == pytest.approx(55)
    for _ in range(10):
        health.failed(0.0)
    assert health.score(100, 0.0) == pytest.approx(10)
    assert health.errors == 11


def test_the_past_fades_within_seconds() -> None:
    """
    After the worst that can happen a client is as good as new within seconds, not a minute.
    """
    health = Health()
    for _ in range(10):
        health.answered(30.0, 0.0)
        health.failed(0.0)

    assert health.score(0, 0.0) == pytest.approx(50)
    assert health.score(0, 1.0) == pytest.approx(75)
    assert health.score(0, 4.0) > 95


@given(
    events=st.lists(
        st.tuples(st.floats(0, 100), st.one_of(st.none(), st.floats(0, 1e6))), max_size=50
    ),
    pending=st.integers(0, 10**9),
    later=st.floats(0, 1e9),
)
def test_health_is_always_between_0_and_100(
    events: list[tuple[float, float | None]], pending: int, later: float
) -> None:
    """
    Whatever happened, in whatever order of clocks, health is 0-100 and only recovers with time.
    """
    health = Health()
    now = 0.0
    for gap, round_trip in events:
        now += gap
        if round_trip is None:
            health.failed(now)
        else:
            health.answered(round_trip, now)

    assert 0 <= health.score(pending, now) <= 100
    assert health.score(pending, now) <= health.score(pending, now + later)


@given(samples=st.lists(st.floats(0, 1e6), min_size=1, max_size=300), size=st.integers(1, 200))
def test_percentiles_are_exact_over_the_window(samples: list[float], size: int) -> None:
    """The window's percentiles are samples that exactly so many do not exceed."""
    window = LatencyWindow(size)
    for sample in samples:
        window.add(sample)

    kept = sorted(samples[-size:])
    stats = window.stats()
    assert stats is not None
    assert (stats.count, stats.last) == (len(kept), samples[-1])
    for percent, value in ((50, stats.p50), (99, stats.p99)):
        assert value == percentile(kept, percent)
        assert sum(s <= value for s in kept) >= len(kept) * percent / 100
        assert sum(s < value for s in kept) < len(kept) * percent / 100 or value == kept[0]
