"""
One answer that one task awaits on asyncio and uvloop: a future of our own, in plain Python.

Rule 1: the task goes on in the very step that brings its answer, where no task is running; a
future of asyncio's would have it wait for one more turn of the event loop.
Rule 2: a wait that was cancelled stays so, whatever comes.
Rule 3: `native/waiter.c` has the twin of this class, which does the same.
"""

from __future__ import annotations

import asyncio
from asyncio import current_task
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextvars import Context


class Line(Protocol):
    """Who waits equally long."""

    deadlines: dict[Any, float]
    is_kept: bool

    def leave(self) -> None:
        """Go: the last has left, and it is not kept."""


class AsyncioWaiter:
    """
    Awaits one result.

    Args:
        line: where it waits.
        loop: its task's.
    """

    # The public methods that have no docstring are what a task of asyncio's asks of a future.

    __slots__ = (
        "_asyncio_future_blocking",
        "_cancelled",
        "_context",
        "_done",
        "_line",
        "_loop",
        "_value",
        "_wake",
    )

    def __init__(self, line: Line, loop: asyncio.AbstractEventLoop) -> None:
        self._line = line
        self._loop = loop
        self._asyncio_future_blocking = False
        self._wake: Callable[[AsyncioWaiter], object] | None = None
        self._context: Context | None = None
        self._value: object = None
        self._done = False
        self._cancelled = False

    def __await__(self) -> Generator[Any, None, Any]:
        """Return the result."""
        if not self._done:
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    def set(self, value: object) -> None:
        """
        Give the result; only the first counts.

        The task that awaits it goes on before this returns, unless this is called by a task.
        """
        if self._done:
            return
        self._done = True
        self._value = value
        if self._wake is None:
            return
        if self._context is not None and current_task(self._loop) is None:
            self._context.run(self._wake, self)
        else:
            self._wake_soon()

    def close(self) -> None:
        """Nobody waits any more."""
        line = self._line
        line.deadlines.pop(self, None)
        if not line.is_kept and not line.deadlines:
            line.leave()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(
        self, wake: Callable[[AsyncioWaiter], object], *, context: Context | None = None
    ) -> None:
        self._wake, self._context = wake, context

    def cancel(self, msg: object = None) -> bool:
        if self._done:
            return False
        self._done = self._cancelled = True
        self._value = msg  # anyio knows its own cancellations by it
        if self._wake is not None:
            self._wake_soon()
        return True

    def done(self) -> bool:
        return self._done

    def result(self) -> object:
        if self._cancelled:
            raise asyncio.CancelledError(*(() if self._value is None else (self._value,)))
        return self._value

    def _wake_soon(self) -> None:
        assert self._wake is not None
        self._loop.call_soon(self._wake, self, context=self._context)
