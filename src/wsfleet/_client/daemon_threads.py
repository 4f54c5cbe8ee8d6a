"""
Threads for calls that may hang, such as those to a disk.

They are daemons: a call that never returns does not keep the process alive at its end, as the
threads of anyio and of asyncio's executor do.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from wsfleet._wire.loops import on_asyncio

if TYPE_CHECKING:
    from collections.abc import Callable

_IDLE_TIME: Final = 10.0
"""Seconds for which a thread without a call waits for the next one."""


async def call_in_thread(function: Callable[..., object], *args: object) -> None:
    """
    Call a function in a thread, and return when it has returned.

    Raises:
        Exception: what the function raised.

    Cancelling it gives the thread up: the call goes on, and nothing waits for it.
    """
    call = _Call(function, args)
    wait = _new_waiting(call)
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    worker.calls.put(call)
    await wait()
    if call.error is not None:
        raise call.error


class _Call:
    """One call, and how to tell that it has returned."""

    __slots__ = ("_args", "_function", "error", "tell")

    def __init__(self, function: Callable[..., object], args: tuple[object, ...]) -> None:
        self.error: Exception | None = None
        self.tell: Callable[[], object]
        self._function = function
        self._args = args

    def run(self) -> None:
        try:
            self._function(*self._args)
        except Exception as exc:  # noqa: BLE001 - raised where the call is awaited
            self.error = exc

    def end(self) -> None:
        try:
            self.tell()
        except RuntimeError:  # the event loop has ended: nothing waits any more
            return


def _new_waiting(call: _Call) -> Callable[[], Any]:
    """Return a function that waits for the call."""
    if on_asyncio():
        loop = asyncio.get_running_loop()
        returned = asyncio.Event()
        call.tell = lambda: loop.call_soon_threadsafe(returned.set)
        return returned.wait
    trio = sys.modules["trio"]
    token, event = trio.lowlevel.current_trio_token(), trio.Event()
    call.tell = lambda: token.run_sync_soon(event.set)
    return event.wait  # type: ignore[no-any-return]


class _Worker:
    """One thread, which takes calls one after the other."""

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="wsfleet-worker", daemon=True).start()

    def _run(self) -> None:
        while (call := self._next()) is not None:
            call.run()
            _idle.append(self)  # before the caller goes on, who may have the next call
            call.end()
            del call  # an idle thread keeps nothing alive

    def _next(self) -> _Call | None:
        try:
            return self.calls.get(timeout=_IDLE_TIME)
        except queue.Empty:
            pass
        try:
            _idle.remove(self)
        except ValueError:  # it was just chosen for a call
            return self.calls.get()
        return None


_idle: Final[list[_Worker]] = []
"""Threads without a call; each operation on the list is one step."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # a fork has none of the threads
