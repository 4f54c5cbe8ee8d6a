"""
Tells users that a connection came or went.

Rule 1: an error that a callback raises is logged, and harms nothing; a cancellation that nobody
asked for is the client's crash, and what ends the program ends the client.
Rule 2: an async one never holds the connection up; one waits for the one before it.
Rule 3: however long one takes, at most `MOST_WAITING` wait for it: the two oldest are then
skipped, so that a connection gained is still followed by a connection lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from wsfleet._log import Log
from wsfleet._wire.signals import Changes

from .callables import is_async_callable, refuse_coroutine
from .user_code import crash_of, name_of

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from .client import Client

Callback: TypeAlias = Callable[[Any], Any] | Callable[[Any], Awaitable[Any]]
"""Called with the client; what an async one returns is awaited."""

MOST_WAITING: Final = 16
"""Calls that wait for a callback that takes long."""


class Starting(Protocol):
    """Who is told that a client is usable: anyio's `TaskStatus`, or anything alike."""

    def started(self, value: Client, /) -> None:
        """Take the client."""


class Callbacks:
    """
    Runs the callbacks of one client in the task group of its life.

    Args:
        tasks: the task group.
        crash: called with what is more than an error of a callback; see rule 1.
    """

    __slots__ = ("_crash", "_idle", "_running", "_tasks", "_waiting")

    def __init__(self, tasks: TaskGroup, crash: Callable[[BaseException], None]) -> None:
        self._tasks = tasks
        self._crash = crash
        self._running = False
        self._waiting: deque[tuple[Callback, object, Mapping[str, Any]]] = deque()
        self._idle = Changes()

    def call(self, callback: Callback, client: object, identity: Mapping[str, Any]) -> None:
        """Call a sync one now; start an async one."""
        if is_async_callable(callback):
            self._call_in_turn(callback, client, identity)
            return
        try:
            refuse_coroutine(callback(client))
        except BaseException as error:  # noqa: BLE001 - a user's code; rule 1
            self._failed(error, crash_of(error, callback, is_sync=True), callback, identity)

    def _call_in_turn(
        self, callback: Callback, client: object, identity: Mapping[str, Any]
    ) -> None:
        self._waiting.append((callback, client, identity))
        if not self._running:
            self._running = True
            self._tasks.start_soon(self._run)
        elif len(self._waiting) > MOST_WAITING:
            self._skip()
            self._skip()

    def _skip(self) -> None:
        callback, _, identity = self._waiting.popleft()
        Log(self._crash).warning(
            "client.callback_skipped", **identity, callback=name_of(callback)
        )

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._await(*self._waiting.popleft())
        finally:
            self._running = False
            self._idle.tell()

    async def _await(
        self, callback: Callback, client: object, identity: Mapping[str, Any]
    ) -> None:
        try:
            await callback(client)
        except BaseException as error:  # noqa: BLE001 - a user's code; rule 1
            self._failed(error, crash_of(error, callback, in_own_task=True), callback, identity)

    def _failed(
        self,
        error: BaseException,
        crash: BaseException,
        callback: Callback,
        identity: Mapping[str, Any],
    ) -> None:
        if crash is not error or not isinstance(error, Exception):
            self._crash(crash)
            return
        Log(self._crash).error(
            "client.callback_failed", **identity, callback=name_of(callback), exc_info=error
        )

    async def settled(self) -> None:
        """Return when none runs."""
        while self._running:
            await self._idle.next()
