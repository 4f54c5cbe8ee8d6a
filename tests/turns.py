"""Cancelling a call after any number of turns of its event loop."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

EACH: Final = 40
"""Numbers of turns that are all tried."""

ENOUGH: Final = 1_000_000
"""Turns within which a call has to end by itself."""


class Cut:
    """
    Cancels one call after so many turns of the event loop.

    Attributes:
        turns: after how many; 0 cancels before the call begins.
        fired: whether the call was cancelled before it had ended.
        cancelled: whether the cancellation came out of the call.
    """

    def __init__(self, turns: int) -> None:
        self.turns = turns
        self.fired = False
        self.cancelled = False
        self._scope: anyio.CancelScope

    async def __call__(
        self,
        call: Callable[[], Awaitable[Any]],
        meanwhile: Callable[[], Coroutine[Any, Any, Any]] | None = None,
    ) -> Any:
        """
        Make the call; return what it returned, or None when it was cancelled.

        Anything else that comes out of it is raised: a cancellation is not to become an error.

        Args:
            call: the one.
            meanwhile: runs beside it until it has ended, and is not cancelled with it.
        """
        result = None
        async with anyio.create_task_group() as tasks:
            if meanwhile is not None:
                tasks.start_soon(meanwhile)
            with anyio.CancelScope() as self._scope:
                if not self.turns:
                    self._fire()
                with _counted(self.turns, self._fire):
                    result = await call()
            self.cancelled = self._scope.cancelled_caught
            tasks.cancel_scope.cancel()
        return result

    def _fire(self) -> None:
        self.fired = True
        self._scope.cancel()


async def sweep(scenario: Callable[[Cut], Awaitable[None]]) -> None:
    """
    Play a scenario again and again, its call cut after more turns each time, until the call
    ends by itself; no task is left of any.

    It is cut after each number of turns up to `EACH`, and after growing numbers then: on uvloop
    turns are not counted while the event loop waits, but are as many as fit into that time.
    """
    tasks = len(anyio.get_running_tasks())
    turns = 0
    while turns < ENOUGH:
        cut = Cut(turns)
        try:
            await scenario(cut)
            await checkpoint()  # a task that has just ended is gone
            await checkpoint()
            left = anyio.get_running_tasks()
            assert len(left) == tasks, left
        except BaseException as error:
            error.add_note(f"cancelled after {turns} turns")
            raise
        if not cut.fired:
            assert turns, "the call was not even begun"
            return
        turns = turns + 1 if turns < EACH else turns * 5 // 4
    raise AssertionError("the call never ended by itself")


@contextmanager
def _counted(turns: int, then: Callable[[], None]) -> Iterator[None]:
    """Call `then` once so many turns of the running event loop have passed."""
    if not turns:
        yield
        return
    left = turns

    def count() -> bool:
        nonlocal left
        left -= 1
        if not left:
            then()
        return left == 0

    with _on_asyncio(count) if _runs_asyncio() else _on_trio(count):
        yield


def _runs_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def _on_asyncio(count: Callable[[], bool]) -> Iterator[None]:
    loop: Any = asyncio.get_running_loop()
    if not hasattr(loop, "_selector"):  # uvloop: each turn of a callback that comes back
        with _by_callback(loop, count):
            yield
        return
    selector = loop._selector
    poll = selector.select

    def select(timeout: float | None = None) -> Any:
        return poll(0 if count() else timeout)

    selector.select = select
    try:
        yield
    finally:
        selector.select = poll


@contextmanager
def _by_callback(loop: asyncio.AbstractEventLoop, count: Callable[[], bool]) -> Iterator[None]:
    handle: asyncio.Handle

    def turn() -> None:
        nonlocal handle
        if not count():
            handle = loop.call_soon(turn)

    handle = loop.call_soon(turn)
    try:
        yield
    finally:
        handle.cancel()


@contextmanager
def _on_trio(count: Callable[[], bool]) -> Iterator[None]:
    import trio  # noqa: PLC0415  only where it runs

    class Turns(trio.abc.Instrument):
        def after_io_wait(self, timeout: float) -> None:
            count()

    turns = Turns()
    trio.lowlevel.add_instrument(turns)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(turns)
