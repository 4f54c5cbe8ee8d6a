"""
Time that jumps: twenty virtual seconds of backoff cost a millisecond.

Rule 1: time moves only when no task can run, and then to the next timer.
Rule 2: no sockets and no threads under virtual time; nothing would wait for them.
"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["VirtualTimeLoop", "all_tasks_blocked", "time_is_virtual", "virtual_backends"]


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """
    An asyncio event loop that jumps to its next timer instead of waiting for it.

    Raises:
        RuntimeError: no task can run and no timer is set: a deadlock.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._idle: list[asyncio.Future[None]] = []
        selector = cast("Any", self)._selector  # noqa: SLF001  asyncio's one place to wait in
        self._poll: Callable[[float], list[Any]] = selector.select
        selector.select = self._select

    def time(self) -> float:
        """Return the virtual time, in seconds since the loop was made."""
        return self._now

    async def idle(self) -> None:
        """Wait until no other task can run; time does not move."""
        future = self.create_future()
        self._idle.append(future)
        await future

    def _select(self, timeout: float | None = None) -> list[Any]:
        if ready := self._poll(0):
            return ready
        if timeout == 0:
            return []
        if self._idle:
            self._wake_idle()
            return []
        if timeout is None:
            msg = "deadlock: no task can run, and no timer is set"
            raise RuntimeError(msg)
        self._now += timeout
        return []

    def _wake_idle(self) -> None:
        waiting, self._idle = self._idle, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


async def all_tasks_blocked() -> None:
    """
    Wait until every other task waits for something, without moving virtual time.

    `anyio.wait_all_tasks_blocked` sleeps on asyncio, which moves it by a tenth of a second.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        from trio.testing import wait_all_tasks_blocked  # noqa: PLC0415  only trio's users have it

        await wait_all_tasks_blocked()
    else:
        if isinstance(loop, VirtualTimeLoop):
            await loop.idle()
        else:
            await checkpoint()


def virtual_backends() -> dict[str, tuple[str, dict[str, Any]]]:
    """
    Return both event loops in virtual time, by name; trio only where it is installed.

    A value is what anyio's fixture `anyio_backend` returns, and `anyio.run(main, backend=name,
    backend_options=options)` takes. Each is good for one run.
    """
    backends: dict[str, tuple[str, dict[str, Any]]] = {
        "asyncio": ("asyncio", {"loop_factory": VirtualTimeLoop})
    }
    if find_spec("trio") is not None:
        from trio.testing import MockClock  # noqa: PLC0415  only trio's users have it

        backends["trio"] = ("trio", {"clock": MockClock(autojump_threshold=0)})
    return backends


def time_is_virtual() -> bool:
    """Tell whether the event loop that runs here is one of `virtual_backends`."""
    try:
        return isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
    except RuntimeError:
        from trio.lowlevel import current_clock  # noqa: PLC0415  only trio's users have it
        from trio.testing import MockClock  # noqa: PLC0415  only trio's users have it

        return isinstance(current_clock(), MockClock)
