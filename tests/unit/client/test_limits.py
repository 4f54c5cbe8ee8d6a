from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsfleet import Limiter, LimiterStatus, SlidingWindow, SplitLimiter, TokenBucket
from wsfleet.errors import ConfigError, RateLimitedError
from wsfleet.testing.virtual_time import VirtualTimeLoop, all_tasks_blocked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Times and costs are sums of powers of two, so that the tests' own arithmetic is exact.
PAUSES = st.integers(0, 12).map(lambda n: n / 8)
COSTS = st.integers(0, 12).map(lambda n: n / 4)
ARRIVALS = st.lists(st.tuples(PAUSES, COSTS), max_size=24)
MAKERS: list[Callable[[], Limiter]] = [
    lambda: TokenBucket(capacity=2, refill_rate=2.0),
    lambda: SlidingWindow(limit=2, seconds=1.0),
]
both = pytest.mark.parametrize("make", MAKERS, ids=["bucket", "window"])


class Passing:
    """Sends messages that are their own cost, and notes who passed when."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self.passed: list[tuple[int, float, float]] = []
        self.refused: list[tuple[int, float, float]] = []

    async def one(self, number: int, cost: float, timeout: float | None) -> None:
        try:
            await self.limiter.acquire(cost, timeout)
        except RateLimitedError as error:
            self.refused.append((number, anyio.current_time(), error.retry_after))
        else:
            self.passed.append((number, anyio.current_time(), cost))

    async def all(
        self, arrivals: Sequence[tuple[float, float]], timeout: float | None = None
    ) -> list[float]:
        """Let them arrive, each so long after the one before; return when they did."""
        arrived = []
        async with anyio.create_task_group() as tasks:
            for number, (pause, cost) in enumerate(arrivals):
                await anyio.sleep(pause)
                arrived.append(anyio.current_time())
                tasks.start_soon(self.one, number, cost, timeout)
                await all_tasks_blocked()
        return arrived

    @property
    def order(self) -> list[int]:
        """Those that passed and had to pay."""
        return [number for number, _, cost in self.passed if cost]


def itself(message: float) -> float:
    """Return what a message costs that is its own cost."""
    return message


@settings(deadline=None, max_examples=60)
@given(arrivals=ARRIVALS, timeout=st.none() | PAUSES)
async def test_no_window_has_more_than_the_limit(
    arrivals: list[tuple[float, float]], timeout: float | None
) -> None:
    """Wherever a window begins, whatever comes when: no more than the limit passes in it."""
    passing = Passing(SlidingWindow(limit=3, seconds=1.0, cost=itself))

    await passing.all(arrivals, timeout)

    for _, start, _ in passing.passed:
        within = [cost for _, at, cost in passing.passed if start <= at < start + 1.0]
        assert sum(within) <= 3


@settings(deadline=None, max_examples=60)
@given(arrivals=ARRIVALS, timeout=st.none() | PAUSES)
async def test_a_bucket_never_passes_more_than_it_held_and_got(
    arrivals: list[tuple[float, float]], timeout: float | None
) -> None:
    """In any t seconds at most capacity + rate * t pass."""
    passing = Passing(TokenBucket(capacity=3, refill_rate=2.0, cost=itself))

    await passing.all(arrivals, timeout)

    times = [at for _, at, _ in passing.passed]
    for start in times:
        for end in (at for at in times if at >= start):
            within = [cost for _, at, cost in passing.passed if start <= at <= end]
            assert sum(within) <= 3 + 2.0 * (end - start) + 1e-6


@both
@settings(deadline=None, max_examples=40)
@given(pauses=st.lists(PAUSES, max_size=24))
async def test_nobody_waits_longer_than_needed(
    make: Callable[[], Limiter], pauses: list[float]
) -> None:
    """Messages pass in their order, each at the first moment that the limit allows."""
    passing = Passing(make())

    arrived = await passing.all([(pause, 1.0) for pause in pauses])

    expected: list[float] = []
    tokens, at = 2.0, arrived[0] if arrived else 0.0
    for number, came in enumerate(arrived):
        earliest = max(came, expected[-1] if expected else 0.0)
        if isinstance(passing.limiter, SlidingWindow):
            free = expected[number - 2] + 1.0 if number >= 2 else 0.0
            expected.append(max(earliest, free))
        else:
            tokens, at = min(2.0, tokens + (earliest - at) * 2.0), earliest
            wait = max(0.0, 1.0 - tokens) / 2.0
            tokens, at = tokens + wait * 2.0 - 1.0, at + wait
            expected.append(at)
    assert [number for number, _, _ in passing.passed] == list(range(len(pauses)))
    assert [at for _, at, _ in passing.passed] == pytest.approx(expected)


@both
@settings(deadline=None, max_examples=40)
@given(arrivals=st.lists(PAUSES, max_size=24), timeout=PAUSES)
async def test_a_refusal_comes_at_once_and_is_right(
    make: Callable[[], Limiter], arrivals: list[float], timeout: float
) -> None:
    """
    Who cannot pass in time is told at once, and so is when; who is not refused passes in time.
    """
    passing = Passing(make())

    arrived = await passing.all([(pause, 1.0) for pause in arrivals], timeout)

    for number, at, retry_after in passing.refused:
        assert at == arrived[number]
        assert retry_after > timeout
    for number, at, _ in passing.passed:
        assert at <= arrived[number] + timeout + 1e-6
    assert len(passing.passed) + len(passing.refused) == len(arrivals)
    assert passing.order == sorted(passing.order)


@both
@settings(deadline=None, max_examples=40)
@given(
    arrivals=st.lists(st.tuples(PAUSES, st.none() | PAUSES), max_size=16),
)
async def test_who_leaves_the_line_leaves_nothing_behind(
    make: Callable[[], Limiter], arrivals: list[tuple[float, float | None]]
) -> None:
    """Those behind a cancelled one take its place; nothing of it stays, or was taken."""
    limiter = make()
    passed: list[tuple[int, float]] = []

    async def wait(number: int, patience: float | None) -> None:
        with anyio.move_on_after(patience):
            await limiter.acquire(None)
            passed.append((number, anyio.current_time()))

    async with anyio.create_task_group() as tasks:
        for number, (pause, patience) in enumerate(arrivals):
            await anyio.sleep(pause)
            tasks.start_soon(wait, number, patience)
            await all_tasks_blocked()

    assert [number for number, _ in passed] == sorted(number for number, _ in passed)
    assert {n for n, (_, p) in enumerate(arrivals) if p is None} <= {n for n, _ in passed}
    status = limiter.status()
    assert status.waiting == 0
    await anyio.sleep(1)
    assert limiter.status() == LimiterStatus(2.0, 0.0, 2, 0)


@both
async def test_a_place_that_was_given_back_is_used_at_once(make: Callable[[], Limiter]) -> None:
    """When the first in line gives up, the next passes when the first would have."""
    limiter = make()
    limiter.spend(2)
    scope = anyio.CancelScope()
    passed: list[float] = []

    async def give_up() -> None:
        with scope:
            await limiter.acquire(None)

    async def stay() -> None:
        await limiter.acquire(None)
        passed.append(anyio.current_time())

    first_turn = anyio.current_time() + limiter.status().retry_after
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(give_up)
        await all_tasks_blocked()
        tasks.start_soon(stay)
        await all_tasks_blocked()
        assert limiter.status().waiting == 2
        scope.cancel()

    assert passed == [pytest.approx(first_turn)]


@both
async def test_nobody_is_overtaken(make: Callable[[], Limiter]) -> None:
    """While somebody waits, a newcomer is refused even if a small cost would just fit."""
    limiter = make()
    limiter.acquire_nowait(None)
    limiter.acquire_nowait(None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.acquire, None)
        await all_tasks_blocked()
        with pytest.raises(RateLimitedError) as caught:
            limiter.acquire_nowait(None)
        with pytest.raises(RateLimitedError):
            await limiter.acquire(None, timeout=0.0)

    assert caught.value.retry_after >= 0.5
    assert caught.value.sent is False
    assert "not sent: retry in" in str(caught.value)


async def test_nobody_pushes_in_when_the_line_moves() -> None:
    """Whoever comes in the very moment in which others in line may pass is behind them."""
    limiter = SlidingWindow(limit=3, seconds=1.0)
    limiter.spend(3)
    refused: list[float] = []

    async def want_two() -> None:
        await limiter.acquire(None)
        with pytest.raises(RateLimitedError) as caught:
            limiter.acquire_nowait(None)
        refused.append(caught.value.retry_after)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(want_two)
        await all_tasks_blocked()
        tasks.start_soon(limiter.acquire, None)

    assert 0 < refused[0] <= 0.001
    limiter.acquire_nowait(None)


@both
async def test_a_timeout_that_is_just_enough_is_enough(make: Callable[[], Limiter]) -> None:
    """Those whose turn comes with their timeout pass, however many they are."""
    limiter = make()
    limiter.spend(2)
    passing = Passing(limiter)
    async with anyio.create_task_group() as tasks:
        for number in range(6):
            timeout = limiter.status().retry_after
            tasks.start_soon(passing.one, number, 1.0, timeout)
            await all_tasks_blocked()

    assert passing.order == list(range(6))


async def test_a_window_is_stricter_than_a_bucket() -> None:
    """
    Five at once and five a second: in its first second a bucket passes nine, a window five.
    """
    start = anyio.current_time()
    counts = []
    for limiter in (TokenBucket(5, 5.0), SlidingWindow(5, 1.0)):
        passing = Passing(limiter)
        await passing.all([(0.0, 1.0)] * 10)
        counts.append(sum(at < start + 1.0 for _, at, _ in passing.passed))
        start = anyio.current_time() + 2
        await anyio.sleep(2)

    assert counts == [9, 5]


@pytest.mark.parametrize("timeout", [None, 1.0, 0.0])
@pytest.mark.parametrize("cost", [2.5, -1, math.nan, math.inf])
@pytest.mark.parametrize("make", [TokenBucket, SlidingWindow])
async def test_a_cost_that_can_never_pass_is_refused(
    make: Any, cost: float, timeout: float | None
) -> None:
    """A message that costs more than ever can pass is an error at once, for all ways to ask."""
    limiter = make(2, 1.0, cost=lambda message: cost)
    with pytest.raises(ConfigError, match=r"cost of a message is .* not sent"):
        await limiter.acquire("m", timeout)
    with pytest.raises(ConfigError):
        limiter.acquire_nowait("m")
    assert limiter.status().available == 2


async def test_what_costs_nothing_always_passes() -> None:
    """A free message waits for nobody, not even behind those who wait."""
    limiter = SlidingWindow(1, 1.0, cost=len)
    limiter.acquire_nowait("x")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.acquire, "x")
        await all_tasks_blocked()
        limiter.acquire_nowait("")
        await limiter.acquire("", timeout=0.0)


@both
async def test_what_was_spent_is_waited_for(make: Callable[[], Limiter]) -> None:
    """Spending takes without waiting, and more than there is; who waits then waits longer."""
    limiter = make()
    limiter.spend(2)
    passing = Passing(limiter)
    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(passing.one, 0, 1.0, None)
        await all_tasks_blocked()
        await anyio.sleep(0.25)
        limiter.spend(1.5)
        assert limiter.status().available == 0

    ((_, at, _),) = passing.passed
    assert at == pytest.approx(start + 1.25)


@both
async def test_a_wait_that_grew_longer_ends_in_time(make: Callable[[], Limiter]) -> None:
    """When a place is taken away meanwhile, the wait ends at its timeout, with a new time."""
    limiter = make()
    limiter.spend(2)
    turn = limiter.status().retry_after
    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        passing = Passing(limiter)
        tasks.start_soon(passing.one, 0, 1.0, turn + 0.125)
        await anyio.sleep(0.25)
        limiter.spend(2)

    ((_, at, retry_after),) = passing.refused
    assert at == pytest.approx(start + turn + 0.125, abs=0.002)
    assert retry_after > 0
    assert limiter.status().waiting == 0


@pytest.mark.parametrize("cost", [-1, math.nan, math.inf])
async def test_nonsense_cannot_be_spent(cost: float) -> None:
    """A negative or infinite cost would break the count for good, so it is refused."""
    with pytest.raises(ConfigError, match="cost"):
        SlidingWindow(1, 1.0).spend(cost)


async def test_the_status_tells_what_a_newcomer_can_expect() -> None:
    """Status tells what is left, who waits, and when a message that comes now would pass."""
    limiter = SlidingWindow(limit=2, seconds=1.0)
    assert limiter.status() == LimiterStatus(
        available=2, retry_after=0.0, capacity=2, waiting=0
    )
    limiter.acquire_nowait(None)
    limiter.acquire_nowait(None)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(limiter.acquire, None)
        await all_tasks_blocked()
        status = limiter.status()
        assert (status.available, status.capacity, status.waiting) == (0, 2, 3)
        assert status.retry_after == pytest.approx(2.0)
        await anyio.sleep(0.25)
        assert limiter.status().retry_after == pytest.approx(1.75)
        limiter.spend(2)
        assert limiter.status().retry_after == pytest.approx(2.0)


async def test_the_status_forgets_who_gave_up() -> None:
    """When those who wait give up, a newcomer's time is as if they had never come."""
    limiter = SlidingWindow(limit=1, seconds=1.0)
    limiter.spend()
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(limiter.acquire, None)
            await all_tasks_blocked()
        assert limiter.status().retry_after == pytest.approx(4.0)
        with anyio.move_on_after(0.5):
            await limiter.acquire(None)
        assert limiter.status().retry_after == pytest.approx(3.5)
        tasks.cancel_scope.cancel()

    assert limiter.status().retry_after == pytest.approx(0.5)


@pytest.mark.parametrize("make", [TokenBucket, SlidingWindow])
def test_costs_that_are_no_whole_numbers_fill_the_limit(make: Any) -> None:
    """Three times 0.4 are 1.2, whatever floats say: rounding takes no place away."""
    limiter = make(1.2, 2.0, cost=lambda message: 0.4)

    async def fill() -> None:  # in a loop of its own: early times are the most precise
        for _ in range(5):
            for _ in range(3):
                limiter.acquire_nowait("m")
            with pytest.raises(RateLimitedError):
                limiter.acquire_nowait("m")
            await anyio.sleep(2)

    anyio.run(fill, backend_options={"loop_factory": VirtualTimeLoop})


async def test_what_rounding_left_does_not_add_up() -> None:
    """A window in which nothing passed is as good as new, to the last bit."""
    limiter = SlidingWindow(0.5, 1.0, cost=itself)
    for cost in (0.1, 0.1, 0.3):
        limiter.acquire_nowait(cost)
    await anyio.sleep(1)

    assert limiter.status().available == 0.5


async def test_a_long_line_moves_on_quickly() -> None:
    """A thousand waiters with deadlines, of whom half give up, cost no quadratic time."""
    limiter = SlidingWindow(10, 1.0)
    passing = Passing(limiter)
    async with anyio.create_task_group() as tasks:
        for number in range(1000):
            tasks.start_soon(passing.one, number, 1.0, 1000.0)
        await all_tasks_blocked()
        assert limiter.status().retry_after == pytest.approx(100.0)

    assert len(passing.passed) == 1000
    assert not limiter._line


async def test_many_that_give_up_at_once_cost_no_quadratic_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand whose waits end in the same moment do not stop the others."""
    limiter = TokenBucket(capacity=2, refill_rate=2.0)
    passing = Passing(limiter)
    looked, ready_at = 0, type(limiter._ledger).ready_at

    def count(ledger: Any, cost: float, now: float) -> float:
        nonlocal looked
        looked += 1
        return ready_at(ledger, cost, now)

    async with anyio.create_task_group() as tasks:
        for number in range(1000):
            tasks.start_soon(passing.one, number, 1.0, 1000.0)
        await all_tasks_blocked()
        limiter.spend(1e6)
        monkeypatch.setattr(type(limiter._ledger), "ready_at", count)

    assert len(passing.refused) >= 990
    assert looked < 100_000


@both
def test_a_limiter_goes_along_to_another_event_loop(make: Callable[[], Limiter]) -> None:
    """
    Where another event loop's clock is behind, the limit holds over the change, and ends.
    """
    limiter = make()

    async def first() -> None:
        await anyio.sleep(1000)
        limiter.spend(2)

    async def second() -> None:
        with pytest.raises(RateLimitedError) as caught:
            limiter.acquire_nowait(None)
        assert caught.value.retry_after <= 1.0
        await limiter.acquire(None, timeout=1.0)
        assert anyio.current_time() <= 1.0

    for program in (first, second):
        anyio.run(program, backend_options={"loop_factory": VirtualTimeLoop})


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda bad: TokenBucket(bad, 1.0), "capacity"),
        (lambda bad: TokenBucket(1, bad), "refill_rate"),
        (lambda bad: SlidingWindow(bad, 1.0), "limit"),
        (lambda bad: SlidingWindow(1, bad), "seconds"),
    ],
)
@pytest.mark.parametrize("bad", [0, -1, math.inf, math.nan, None, "5", True])
def test_a_limit_that_can_never_work_is_refused(
    make: Callable[[Any], Limiter], option: str, bad: Any
) -> None:
    """Nonsense is refused at birth, and the error names the argument."""
    with pytest.raises(ConfigError, match=rf"^{option} must be"):
        make(bad)


def test_a_limit_below_one_needs_a_cost() -> None:
    """Where each message costs 1, less than 1 would let nothing pass, ever."""
    with pytest.raises(ConfigError, match="1 or more"):
        TokenBucket(0.5, 1.0)
    TokenBucket(0.5, 1.0, cost=lambda message: 0.25)


def test_limiters_show_their_numbers() -> None:
    """A config's repr tells which limit it has."""
    assert repr(TokenBucket(10, refill_rate=5.0)) == "TokenBucket(capacity=10, refill_rate=5.0)"
    assert repr(SlidingWindow(5, 1.0)) == "SlidingWindow(limit=5, seconds=1.0)"
    assert isinstance(SlidingWindow(5, 1.0), Limiter)


async def test_each_kind_has_a_budget_of_its_own() -> None:
    """A split limiter asks the limiter of a message's kind, and the default for all others."""
    limiter = SplitLimiter(
        {"big": TokenBucket(1, 1.0), "small": TokenBucket(2, 1.0, counts_control=True)},
        str,
        default="small",
    )
    limiter.acquire_nowait("big")
    limiter.acquire_nowait("other")
    with pytest.raises(RateLimitedError):
        limiter.acquire_nowait("big")
    began = anyio.current_time()
    await limiter.acquire("big")
    assert anyio.current_time() - began == pytest.approx(1.0)
    limiter.spend()
    assert limiter.status().available == pytest.approx(1.0)
    assert limiter.counts_control
    assert "TokenBucket" in repr(limiter)


@pytest.mark.parametrize(
    ("limiters", "default"), [({}, "a"), ({"a": TokenBucket(1, 1.0)}, "b"), ({"a": 1}, "a")]
)
def test_a_split_limiter_needs_limiters(limiters: Any, default: str) -> None:
    """What can never work is refused."""
    with pytest.raises(ConfigError):
        SplitLimiter(limiters, str, default=default)
