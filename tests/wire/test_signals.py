"""Tasks that wait for room go on in turn, a few in each turn of the event loop."""

from __future__ import annotations

import anyio
from anyio.lowlevel import checkpoint

from wsfleet._wire.signals import MOST_WOKEN, Turns


async def settled() -> None:
    """Let all tasks that can go on do so."""
    for _ in range(20):
        await checkpoint()


class Room:
    """Room for some, and tasks that wait for it."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.left = 0
        self.went: list[int] = []

    def is_full(self) -> bool:
        return self.left <= 0

    async def enter(self, number: int) -> None:
        await self.turns.wait(self.is_full)
        self.left -= 1
        self.went.append(number)

    def open(self, places: int) -> None:
        self.left = places
        self.turns.tell()


async def test_thousands_that_wait_for_room_do_not_go_on_all_at_once() -> None:
    """When a peer reads again, each turn of the loop sends a few of the messages that wait."""
    room, most, before = Room(), 0, 0
    async with anyio.create_task_group() as tasks:
        for number in range(3000):
            tasks.start_soon(room.enter, number)
        await settled()
        room.open(10_000)
        while len(room.went) < 3000:
            await checkpoint()
            most = max(most, len(room.went) - before)
            before = len(room.went)

    assert most <= 2 * MOST_WOKEN  # on trio two turns of the loop may come between two of ours


async def test_those_that_find_no_room_keep_their_places() -> None:
    """Messages that wait go out in their order, however small the room is each time."""
    room = Room()
    async with anyio.create_task_group() as tasks:
        for number in range(300):
            tasks.start_soon(room.enter, number)
            await settled()
        for places in (1, 100, 1, 70, 128):
            room.open(places)
            await settled()
            # Those that were woken up together go on in any order on trio.
            assert max(room.went) < len(room.went) + MOST_WOKEN

    assert len(room.went) == 300


async def test_those_that_are_cancelled_hold_up_nobody() -> None:
    """Room that a cancelled task would have used goes to the next, also in the same moment."""
    room, scopes = Room(), [anyio.CancelScope() for _ in range(200)]

    async def enter(number: int) -> None:
        with scopes[number]:
            await room.enter(number)

    async with anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(enter, number)
            await settled()
        room.open(200)
        for scope in scopes[:150]:
            scope.cancel()
        await settled()

    assert set(range(150, 200)) <= set(room.went)


async def test_the_end_lets_all_go_on() -> None:
    """All that wait learn of the end of a connection at once."""
    room = Room()
    async with anyio.create_task_group() as tasks:
        for number in range(300):
            tasks.start_soon(room.enter, number)
        await settled()
        room.left = 1_000
        room.turns.tell(all_of_them=True)
        await settled()

    assert len(room.went) == 300
