"""
An asyncio event loop in a thread of its own, for servers that any test can call.

Rule 1: tests on asyncio, uvloop and trio await what happens here; nobody polls or sleeps.
Rule 2: whoever is cancelled while waiting cancels what was being done for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

T = TypeVar("T")
STOP_TIMEOUT: Final = 5.0
THREAD_NAME: Final = "wsfleet-testing"


class BackgroundLoop:
    """A thread with an asyncio event loop; `start` and `stop` it once."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._finished: Future[None] = Future()
        self._thread: threading.Thread | None = None

    async def start(self) -> None:
        """Start the thread and return when its loop runs; not cancellable, but bounded."""
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run_thread, args=(ready,), name=THREAD_NAME, daemon=True
        )
        self._thread.start()
        with anyio.fail_after(STOP_TIMEOUT, shield=True):
            await outcome(ready)

    async def call(self, function: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
        """
        Run a coroutine function on the loop; return what it returns, raise what it raises.

        Raises:
            RuntimeError: the loop does not run.
        """
        if self._loop is None or self._finished.done():
            raise RuntimeError("the server does not run: use it inside its `async with` block")
        return await outcome(asyncio.run_coroutine_threadsafe(function(*args), self._loop))

    async def stop(self) -> None:
        """Cancel what still runs there and end the thread; not cancellable, but bounded."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._stop.set)
        with anyio.fail_after(STOP_TIMEOUT, shield=True):
            await outcome(self._finished)
        self._thread.join()  # it has nothing left to do

    def _run_thread(self, ready: Future[None]) -> None:
        try:
            asyncio.run(self._main(ready))
        finally:
            self._finished.set_result(None)

    async def _main(self, ready: Future[None]) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        ready.set_result(None)
        await self._stop.wait()


async def outcome(future: Future[T]) -> T:
    """Wait for another thread's future; when cancelled, cancel the future too."""
    done = anyio.Event()
    future.add_done_callback(_from_any_thread(done))
    try:
        await done.wait()
    finally:
        future.cancel()
    return future.result()


def _from_any_thread(event: anyio.Event) -> Callable[[object], None]:
    schedule: Callable[[Callable[[], object]], object]
    try:
        schedule = asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        from trio.lowlevel import current_trio_token  # noqa: PLC0415  only trio's users have it

        schedule = current_trio_token().run_sync_soon
    return functools.partial(_set, schedule, event)


def _set(
    schedule: Callable[[Callable[[], object]], object], event: anyio.Event, _: object
) -> None:
    with contextlib.suppress(RuntimeError):  # the loop of the one who waited is gone
        schedule(event.set)
