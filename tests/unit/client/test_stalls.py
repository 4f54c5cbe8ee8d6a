from __future__ import annotations

import asyncio
import gc
import math
import weakref
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.conftest import needs_uvloop
from wsfleet import Client, Config, connect
from wsfleet._client.deadline import Deadline, Grace
from wsfleet._client.stalls import Stalls, stalls_of_loop
from wsfleet.errors import ConfigError, ConnectTimeoutError

if TYPE_CHECKING:
    from collections.abc import MutableMapping


class Reads:
    """A connection of which the tests say when it reads."""

    def __init__(self, chunks: int) -> None:
        self.ending = None
        self.pumped = False
        self.chunks = chunks

    @property
    def reads(self) -> int:
        """Count a read at each look, until all is read."""
        self.chunks = max(0, self.chunks - 1)
        return self.chunks


def stalls_with(*recorded: tuple[float, float]) -> Stalls:
    """Return stalls that ended at these moments and took these seconds."""
    stalls = Stalls(anyio.current_time)
    for ended, seconds in recorded:
        stalls.record(ended, seconds)
    return stalls


async def test_only_stalls_within_a_wait_count_and_only_their_part_of_it() -> None:
    """A stall that began before a wait counts from the begin of the wait."""
    stalls = stalls_with((1.0, 0.5), (10.0, 4.0), (20.0, 2.0))

    assert stalls.since(0.0, 30.0) == 6.5
    assert stalls.since(8.0, 30.0) == 4.0
    assert stalls.since(8.0, 30.0, shortest=3.0) == 2.0
    assert stalls.since(20.0, 30.0) == 0.0


async def test_ordinary_delays_are_no_stalls(
    log_entries: list[MutableMapping[str, Any]],
) -> None:
    """Delays of a busy event loop are neither kept nor logged."""
    stalls = stalls_with((1.0, 0.01))
    stalls.join(0.5)
    stalls.record(2.0, 0.3)

    assert stalls.since(0.0, 30.0) == 0.3
    assert log_entries == []


async def test_the_shortest_stall_after_of_those_that_run_decides(
    log_entries: list[MutableMapping[str, Any]],
) -> None:
    """A client that has ended does not decide what is logged any more."""
    stalls = stalls_with()
    for stall_after in (0.2, 0.5):
        stalls.join(stall_after)
    stalls.record(1.0, 0.3)
    stalls.leave(0.2)
    stalls.record(2.0, 0.3)

    assert [entry["seconds"] for entry in log_entries] == [0.3]


async def test_a_deadline_is_extended_by_the_stall_within_it() -> None:
    """Time in which the loop was blocked is given back to the peer, once."""
    stalls = stalls_with()
    deadline = Deadline(Grace(stalls, 0.5), 5.0, None)
    began = anyio.current_time()

    async def wait() -> None:
        await anyio.sleep(2.0)
        stalls.record(began + 2.0, 1.5)
        await anyio.sleep_forever()

    assert not await deadline.wait(wait)
    assert anyio.current_time() == pytest.approx(began + 5.0)
    with pytest.raises(TimeoutError):
        while not await deadline.wait(anyio.sleep_forever):
            continue
    assert anyio.current_time() == pytest.approx(began + 6.5)


async def test_what_waits_is_read_before_a_deadline_passes_after_a_stall() -> None:
    """As long as bytes come in after a stall, a deadline is not judged."""
    stalls, connection = stalls_with((anyio.current_time() + 0.5, 0.1)), Reads(chunks=50)
    deadline = Deadline(Grace(stalls, 0.5), 1.0, connection)  # type: ignore[arg-type]

    assert not await deadline.wait(anyio.sleep_forever)
    assert connection.chunks == 0
    with pytest.raises(TimeoutError):
        await deadline.wait(anyio.sleep_forever)


@pytest.mark.parametrize(("late", "longest"), [(0.03, 0.1), (0.2, 0.5), (30.0, 5.1)])
def test_a_stream_that_never_pauses_holds_up_no_deadline_for_long(
    late: float, longest: float
) -> None:
    """What arrived during a stall is read in about as much time; the rest is no excuse."""
    moment = 10.0 + late

    def now() -> float:
        nonlocal moment
        moment += 0.001
        return moment

    connection = Reads(chunks=100_000)
    reading = Grace(Stalls(now), 0.5).reading(connection, 9.0, 10.0, moment)  # type: ignore[arg-type]

    while reading.goes_on():
        continue

    assert moment - 10.0 - late <= longest


async def test_a_deadline_without_a_stall_passes_at_once() -> None:
    """Nothing is read, and no turn of the loop is spent, where nothing was late."""
    connection = Reads(chunks=50)
    deadline = Deadline(Grace(stalls_with(), 0.5), 1.0, connection)  # type: ignore[arg-type]

    with pytest.raises(TimeoutError):
        await deadline.wait(anyio.sleep_forever)
    assert connection.chunks == 50


async def test_virtual_time_has_no_stalls(network: Any) -> None:
    """Time that jumps is no stall, and nothing keeps it going for the sake of finding any."""
    async with connect("ws://fake/", opener=network, heartbeat=None):
        await anyio.sleep(3600)
        assert type(stalls_of_loop()) is Stalls
        assert stalls_of_loop().since(0.0, anyio.current_time()) == 0.0


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, math.inf, "1"])
def test_stall_after_is_a_positive_number(seconds: Any) -> None:
    """A value that can never work is refused, by its name."""
    with pytest.raises(ConfigError, match="stall_after"):
        Config(url="ws://fake/", stall_after=seconds)


@pytest.mark.parametrize("use_uvloop", [False, pytest.param(True, marks=needs_uvloop)])
def test_an_event_loop_that_has_ended_is_freed(use_uvloop: bool) -> None:
    """Clients of one event loop after the other leave none of them in memory."""

    async def serve_a_client() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        for _ in range(2):
            stalls = stalls_of_loop()
            stalls.join(0.5)
            stalls.leave(0.5)

    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []
    anyio.run(serve_a_client, backend_options={"use_uvloop": use_uvloop})
    gc.collect()

    assert loops[0]() is None


@pytest.mark.parametrize(("stall", "attempts"), [(0.1, 2), (0.6, 4)])
async def test_only_a_long_stall_excuses_an_attempt_that_was_too_late(
    stall: float, attempts: int
) -> None:
    """
    A busy event loop does not make a client try a silent server for ever; a stalled one does
    not use up its retries.
    """
    tried = 0

    async def opener(*_: Any) -> Any:
        nonlocal tried
        tried += 1
        await anyio.sleep(1.0)
        if tried <= 2:
            stalls_of_loop().record(anyio.current_time(), stall)
        raise ConnectTimeoutError("ws://fake/", "not open after 1 s")

    client = Client("ws://fake/", opener=opener, timeout=1.0, retry_count=1, retry_delay=0.0)
    with pytest.raises(ConnectTimeoutError):
        await client.run()
    assert tried == attempts
