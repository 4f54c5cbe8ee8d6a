"""What a peer that does not read means for the messages of its client and of its pool."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.unit.pool.candidates import Fake
from tests.unit.pool.fleet import A, B, C
from wsfleet import ChildSpec, ClientSupervisor, SlidingWindow, connect
from wsfleet._pool.routing import Router
from wsfleet.errors import MaxAttemptsExceededError, RequestTimeoutError

if TYPE_CHECKING:
    from tests.unit.fakes import FakeNetwork


@pytest.mark.parametrize("message", ["note", b"note", {"no": "id"}])
async def test_a_message_without_an_id_has_a_deadline_for_room(
    network: FakeNetwork, message: Any
) -> None:
    """What waits for room is given up after `request_timeout`, and was not sent."""
    network.server(A).answer = None
    async with connect(A, opener=network, name="a", request_timeout=2.0) as client:
        link = network.server(A).link
        link.fill()
        before = anyio.current_time()
        with pytest.raises(RequestTimeoutError) as caught:
            await client.send_message(message)

        assert anyio.current_time() == pytest.approx(before + 2.0)
        assert caught.value.sent is False
        assert str(caught.value) == (
            "a message waited 2 s for room on a; not sent: the peer reads too slowly"
        )
        assert client.errors == 1
        link.drain()
        await client.send_message(message)
        assert len(link.received) == 1


async def test_the_limiter_and_the_room_share_one_deadline(network: FakeNetwork) -> None:
    """Time that a limiter took is not given again for the write buffer."""
    limiter = SlidingWindow(limit=1, seconds=1.5)
    async with connect(
        A, opener=network, request_timeout=2.0, limiter=limiter, limiter_timeout=None
    ) as client:
        await client.send_message("first")
        network.server(A).link.fill()
        before = anyio.current_time()
        with pytest.raises(RequestTimeoutError):
            await client.send_message("second")
        assert anyio.current_time() == pytest.approx(before + 2.0)


async def test_a_full_client_is_not_chosen_while_another_is_not(network: FakeNetwork) -> None:
    """Balanced messages pass by a client whose peer does not read, though others are busy."""
    specs = [ChildSpec(url, name=url, request_timeout=5.0) for url in (A, B)]
    async with (
        ClientSupervisor(specs, opener=network) as pool,
        anyio.create_task_group() as tasks,
    ):
        network.server(A).link.fill()
        network.server(B).answer = None
        full, other = pool.list_clients()
        for _ in range(10):
            tasks.start_soon(pool.request_balanced, "m")
            tasks.start_soon(pool.send_balanced, "note")
        await anyio.sleep(1.0)

        assert network.server(A).link.texts == []
        assert len(network.server(B).link.texts) == 20
        assert full.get_health() <= 4.0
        assert other.get_health() >= 10.0
        assert next(row.health for row in pool.pool_health() if row.name == A) <= 4.0
        network.server(A).link.drain()
        assert full.get_health() == 100.0
        tasks.cancel_scope.cancel()


async def test_where_all_are_full_a_message_waits_and_then_tries_the_next(
    network: FakeNetwork,
) -> None:
    """Each attempt has its own `request_timeout`; a client with room gets the message."""
    specs = [ChildSpec(url, name=url, request_timeout=2.0) for url in (A, B, C)]
    async with (
        ClientSupervisor(specs, opener=network) as pool,
        anyio.create_task_group() as tasks,
    ):
        links = [network.server(url).link for url in (A, B, C)]
        for link in links:
            link.fill()
        before = anyio.current_time()
        with pytest.raises(MaxAttemptsExceededError) as caught:
            await pool.send_balanced("never")
        assert anyio.current_time() == pytest.approx(before + 6.0)
        assert caught.value.sent is False
        assert [type(error) for _, error in caught.value.attempts] == [RequestTimeoutError] * 3

        tasks.start_soon(pool.send_balanced, "later")
        await anyio.sleep(1.0)
        for link in links:
            link.drain()
        await anyio.sleep(0.5)
        assert [text for link in links for text in link.texts] == ["later"]


async def test_in_a_large_pool_none_that_is_full_is_drawn(network: FakeNetwork) -> None:
    """Among many clients, those that are full are not chosen by chance either."""
    specs = [ChildSpec(A, name=str(number)) for number in range(40)]
    async with ClientSupervisor(specs, opener=network) as pool:
        links = network.server(A).links
        for link in links[:39]:
            link.fill()
        for _ in range(50):
            await pool.send_balanced("note")
        assert Counter(len(link.texts) for link in links) == {0: 39, 50: 1}


def test_candidates_of_any_kind_tell_that_they_are_full_by_their_health() -> None:
    """A health of 4 or less is chosen only where nobody has more; the best of them first."""
    router = Router()
    full, weak = Fake("full", health=4.0), Fake("weak", health=5.0)
    assert {router.choose([full, weak], ()) for _ in range(10)} == {weak}
    worse = Fake("worse", health=1.0)
    assert {router.choose([full, worse], ()) for _ in range(10)} == {full}
