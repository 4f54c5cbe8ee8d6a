from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.pool.candidates import Fake
from wsfleet import ClientSupervisor
from wsfleet._pool.intensity import RestartIntensity
from wsfleet._pool.routing import SMALL, TOLERANCE, Router
from wsfleet.errors import (
    ConfigError,
    DisconnectedError,
    JsonRpcError,
    MaxAttemptsExceededError,
    NoConnectionsError,
    NotConnectedError,
    RequestTimeoutError,
    SendError,
)

UNSENT = NotConnectedError("x", "connecting")
UNKNOWN = DisconnectedError("x", None, "reset")


def pool(size: int, **options: Any) -> list[Fake]:
    """Return so many candidates, all alike."""
    return [Fake(f"c{n}", **options) for n in range(size)]


def choices(router: Router, candidates: list[Fake], times: int) -> Counter[str]:
    """Choose so often, and count."""
    chosen = (router.choose(candidates, ()) for _ in range(times))
    return Counter(candidate.name for candidate in chosen if candidate is not None)


@pytest.mark.parametrize("size", range(1, SMALL + 1))
def test_equals_take_turns(size: int) -> None:
    """Among equals each gets exactly its share, and one after the other."""
    assert set(choices(Router(), pool(size), size * 10).values()) == {10}


def test_a_gap_in_the_rotation_burdens_nobody() -> None:
    """
    When one of three is unfit, the other two share evenly; its neighbour does not get double.
    """
    candidates = pool(3)
    candidates[1].state = "disconnected"

    assert choices(Router(), candidates, 100) == {"c0": 50, "c2": 50}


@pytest.mark.parametrize(("some", "others"), [(2, 3), (2, 4), (4, 4), (1, 8)])
def test_discoveries_do_not_take_each_others_turns(some: int, others: int) -> None:
    """Messages over different sets of candidates alternate: each set is shared evenly."""
    these = pool(some)
    those = [Fake(f"d{n}") for n in range(others)]
    router = Router()
    counts: Counter[str] = Counter()
    for _ in range(some * others * 2):
        counts += choices(router, these, 1) + choices(router, those, 1)

    assert {counts[c.name] for c in these} == {others * 2}
    assert {counts[c.name] for c in those} == {some * 2}


def test_the_order_in_which_discovery_names_them_is_no_preference() -> None:
    """Equals are shared evenly though discovery names them in another order each time."""
    candidates = pool(3)
    router = Router()
    counts: Counter[str] = Counter()
    for n in range(30):
        place = -n % 3
        counts += choices(router, candidates[place:] + candidates[:place], 1)

    assert set(counts.values()) == {10}


def test_candidates_made_anew_for_each_message_take_turns() -> None:
    """Objects that discovery makes for one message alone are known by their names."""
    router = Router()
    counts: Counter[str] = Counter()
    for _ in range(30):
        counts += choices(router, pool(3), 1)

    assert set(counts.values()) == {10}


def test_two_of_one_name_share() -> None:
    """Clients of two pools may have the same name: both get messages."""
    twins = [Fake("twin"), Fake("twin")]
    router = Router()
    chosen = [router.choose(twins, ()) for _ in range(10)]

    assert [chosen.count(twin) for twin in twins] == [5, 5]


def test_names_that_are_made_up_for_ever_take_no_memory() -> None:
    """What is remembered of candidates that never come again is bounded."""
    router = Router()
    for n in range(5000):
        router.choose([Fake(f"once-{n}")], ())

    assert len(router._turns) <= 1024


def test_who_is_often_chosen_is_not_forgotten() -> None:
    """Made-up names push out the oldest turns, and not those of clients in use."""
    steady = Fake("steady")
    router = Router()
    for n in range(1500):
        router.choose([steady], ())
        router.choose([Fake(f"once-{n}")], ())
        assert "steady" in router._turns

    assert "once-0" not in router._turns


def test_the_fitter_is_preferred() -> None:
    """A clearly healthier candidate gets the messages, wherever it stands."""
    for place in range(4):
        candidates = pool(4, health=80.0)
        candidates[place].health = 100.0
        assert choices(Router(), candidates, 10) == {f"c{place}": 10}


def test_about_as_healthy_is_equal() -> None:
    """Differences smaller than one request in flight makes do not unbalance the rotation."""
    candidates = pool(2)
    candidates[1].health = 100.0 - TOLERANCE

    assert choices(Router(), candidates, 100) == {"c0": 50, "c1": 50}


@given(
    healths=st.lists(st.floats(0, 100), min_size=1, max_size=SMALL),
    states=st.lists(st.booleans(), min_size=SMALL, max_size=SMALL),
    turns=st.integers(0, 20),
)
def test_the_choice_is_connected_and_close_to_the_best(
    healths: list[float], states: list[bool], turns: int
) -> None:
    """Whatever the pool, the choice is connected, and no other is clearly healthier."""
    candidates = pool(len(healths))
    for candidate, health, connected in zip(candidates, healths, states, strict=False):
        candidate.health = health
        candidate.state = "connected" if connected else "connecting"
    router = Router()
    for _ in range(turns):
        router.choose(candidates, ())

    chosen = router.choose(candidates, ())

    fit = [c for c in candidates if c.state == "connected"]
    if not fit:
        assert chosen is None
    else:
        assert chosen in fit
        assert chosen.get_health() >= max(c.health for c in fit) - TOLERANCE


def test_a_large_pool_is_shared_evenly() -> None:
    """Over a thousand equals nobody is starved and nobody is flooded."""
    counts = choices(Router(), pool(1000), 20_000)

    assert len(counts) > 995
    assert max(counts.values()) < 60


def test_a_large_pool_avoids_the_unfit() -> None:
    """The less healthy half of a large pool gets about a quarter of the messages."""
    candidates = pool(100)
    for candidate in candidates[:50]:
        candidate.health = 50.0
    counts = choices(Router(), candidates, 4000)

    unfit = sum(counts[f"c{n}"] for n in range(50))
    assert 700 < unfit < 1300


def test_a_large_pool_forgives_as_a_small_one_does() -> None:
    """
    One that is about as healthy as the others, freshly recovered say, has its share of a large
    pool.
    """
    candidates = pool(20)
    candidates[7].health = 100.0 - TOLERANCE
    counts = choices(Router(), candidates, 4000)

    assert 120 < counts["c7"] < 290


@pytest.mark.parametrize("size", [10, 100, 10_000])
def test_the_cost_of_a_choice_does_not_grow(size: int) -> None:
    """A choice looks at the same few candidates whether there are ten or ten thousand."""
    candidates = pool(size)
    router = Router()
    for _ in range(100):
        router.choose(candidates, ())

    assert sum(candidate.looks for candidate in candidates) / 100 < 5


@pytest.mark.parametrize("size", [2, SMALL + 1, 500])
def test_the_last_one_connected_is_found(size: int) -> None:
    """When all but one are down, that one is found, in any pool."""
    candidates = pool(size, state="disconnected")
    candidates[size // 2].state = "connected"

    assert choices(Router(), candidates, 20) == {f"c{size // 2}": 20}


@pytest.mark.parametrize("size", [1, 3, SMALL + 1, 50])
def test_nobody_is_tried_twice(size: int) -> None:
    """Those that had their attempt are not chosen again, named twice or not."""
    candidates = pool(size)
    router = Router()
    tried: list[Any] = []
    while (chosen := router.choose(candidates * 2, tried)) is not None:
        assert not any(chosen is other for other in tried)
        tried.append(chosen)

    assert len(tried) == size


def supervisor_of(candidates: Any) -> Any:
    """Return a way to send over candidates of one's own."""

    async def send(message: Any = "m", **options: Any) -> Any:
        async with ClientSupervisor() as supervisor:
            return await supervisor.send_balanced(
                message, client_discovery=lambda: candidates, **options
            )

    return send


async def test_a_message_goes_through_one() -> None:
    """A message that is answered goes through one candidate, and its answer is returned."""
    candidates = pool(3)

    assert await supervisor_of(candidates)() in {"c0", "c1", "c2"}
    assert sum(len(c.sent) for c in candidates) == 1


async def test_what_was_not_sent_fails_over() -> None:
    """A candidate that could not send is passed over; the caller sees only the answer."""
    broken, good = Fake("broken", error=UNSENT), Fake("good", health=50.0)

    assert await supervisor_of([broken, good])() == "good"
    assert (broken.sent, good.sent) == (["m"], ["m"])


@pytest.mark.parametrize(
    "error", [UNKNOWN, RequestTimeoutError("x", 1, 1.0, None)], ids=lambda e: type(e).__name__
)
async def test_what_may_have_been_sent_is_not_repeated(error: SendError) -> None:
    """An order whose outcome is unknown is never placed twice: the caller is told at once."""
    broken, good = Fake("broken", error=error), Fake("good", health=50.0)

    with pytest.raises(type(error)) as caught:
        await supervisor_of([broken, good])()

    assert caught.value is error
    assert caught.value.sent is None
    assert good.sent == []


async def test_an_idempotent_message_is_repeated() -> None:
    """What the caller declared idempotent goes to the next candidate."""
    broken, good = Fake("broken", error=UNKNOWN), Fake("good", health=50.0)

    assert await supervisor_of([broken, good])(idempotent=True) == "good"


async def test_an_answer_with_an_error_is_an_answer() -> None:
    """An error that the server answered with is not tried elsewhere."""
    first, second = Fake("a", error=JsonRpcError(1, "no")), Fake("b", health=50.0)

    with pytest.raises(JsonRpcError):
        await supervisor_of([first, second])(idempotent=True)
    assert second.sent == []


@pytest.mark.parametrize("attempts", [1, 2, 3, 9])
async def test_attempts_are_limited_and_told(attempts: int) -> None:
    """So many candidates are tried, each once, and the error has each one's name and error."""
    candidates = pool(4, error=UNSENT)
    with pytest.raises(MaxAttemptsExceededError) as caught:
        await supervisor_of(candidates)(max_attempts=attempts)

    tried = min(attempts, 4)
    assert len(caught.value.attempts) == tried
    assert len({name for name, _ in caught.value.attempts}) == tried
    assert {error for _, error in caught.value.attempts} == {UNSENT}
    assert caught.value.sent is False
    assert caught.value.__cause__ is UNSENT


@pytest.mark.parametrize(
    "candidates", [[], [Fake("a", state="connecting")]], ids=["none", "down"]
)
async def test_no_connection_is_told_at_once(candidates: list[Fake]) -> None:
    """Without a connected candidate the caller is told at once, and nothing was sent."""
    with pytest.raises(NoConnectionsError, match="not sent") as caught:
        await supervisor_of(candidates)()

    assert caught.value.candidates == len(candidates)


async def test_duplicates_have_one_attempt() -> None:
    """A candidate that discovery names twice is tried once."""
    broken = Fake("broken", error=UNSENT)
    with pytest.raises(MaxAttemptsExceededError) as caught:
        await supervisor_of([broken, broken, broken])()

    assert len(caught.value.attempts) == 1


@pytest.mark.parametrize("found", [None, 5, ["a string"], [object()]])
async def test_what_is_no_client_is_refused(found: Any) -> None:
    """A discovery that names something else is told what is missing; nothing was sent."""
    with pytest.raises(TypeError, match=r"client_discovery .*nothing was sent"):
        await supervisor_of(found)()


async def test_discovery_may_be_async_and_of_any_kind() -> None:
    """Discovery may be async, and return any iterable."""
    candidate = Fake("a")

    async def discovery() -> Any:
        return (c for c in [candidate])

    async with ClientSupervisor() as supervisor:
        assert await supervisor.send_balanced("m", client_discovery=discovery) == "a"


async def test_discoverys_own_error_comes_out() -> None:
    """What discovery raises reaches the caller as it is."""

    def discovery() -> Any:
        raise LookupError

    async with ClientSupervisor() as supervisor:
        with pytest.raises(LookupError):
            await supervisor.send_balanced("m", client_discovery=discovery)


async def test_no_attempts_make_no_sense() -> None:
    """max_attempts=0 is refused."""
    with pytest.raises(ConfigError, match="max_attempts"):
        await supervisor_of(pool(1))(max_attempts=0)


def test_crashes_are_counted_as_otp_counts_restarts() -> None:
    """
    So many crashes within the window are tolerated; one more is too many; old ones are
    forgotten.
    """
    intensity = RestartIntensity(3, 60.0)

    assert [intensity.count(t) for t in (0.0, 10.0, 20.0, 61.0)] == [True] * 4
    assert not intensity.count(62.0)
    assert not RestartIntensity(0, 60.0).count(0.0)


@given(
    gaps=st.lists(st.floats(0, 50), max_size=60),
    most=st.integers(0, 8),
    window=st.floats(0.1, 100),
)
def test_the_limit_is_reached_exactly_when_too_many_fall_into_a_window(
    gaps: list[float], most: int, window: float
) -> None:
    """
    For any crashes, the limit is reached at the first that has more than so many in its window.
    """
    intensity = RestartIntensity(most, window)
    times: list[float] = []
    for gap in gaps:
        times.append((times[-1] if times else 0.0) + gap)
        in_window = sum(times[-1] - t <= window for t in times)
        assert intensity.count(times[-1]) is (in_window <= most)
