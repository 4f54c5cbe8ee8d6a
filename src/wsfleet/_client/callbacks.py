"""
Tells users that a connection came or went.

Rule 1: an error that a callback raises is logged, and harms nothing; a cancellation that nobody
asked for is the client's crash, and what ends the program ends the client.
Rule 2: an async one never holds the connection up; one waits for the one before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import anyio

from wsfleet._log import Log
from wsfleet._wire.signals import Changes

from .callables import is_async_callable, refuse_coroutine
from .user_code import crash_of, name_of

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from .client import Client

Callback: TypeAlias = Callable[[Any], Any] | Callable[[Any], Awaitable[Any]]
"""Called with the client; what an async one returns is awaited."""


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

    __slots__ = ("_crash", "_idle", "_outstanding", "_tasks", "_turn")

    def __init__(self, tasks: TaskGroup, crash: Callable[[BaseException], None]) -> None:
        self._tasks = tasks
        self._crash = crash
        self._turn: anyio.Lock | None = None
        self._outstanding = 0
        self._idle = Changes()

    def call(self, callback: Callback, client: object, identity: Mapping[str, Any]) -> None:
        """Call a sync one now; start an async one."""
        if is_async_callable(callback):
            self._outstanding += 1
            self._tasks.start_soon(self._await, callback, client, identity)
            return
        try:
            refuse_coroutine(callback(client))
        except BaseException as error:  # noqa: BLE001 - a user's code; rule 1
            self._failed(error, crash_of(error, callback, is_sync=True), callback, identity)

    async def _await(
        self, callback: Callback, client: object, identity: Mapping[str, Any]
    ) -> None:
        try:
            async with self._turn_lock():
                await callback(client)
        except BaseException as error:  # noqa: BLE001 - a user's code; rule 1
            self._failed(error, crash_of(error, callback), callback, identity)
        finally:
            self._outstanding -= 1
            if not self._outstanding:
                self._idle.tell()

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

    def _turn_lock(self) -> anyio.Lock:
        if self._turn is None:
            self._turn = anyio.Lock()
        return self._turn

    async def settled(self) -> None:
        """Return when none runs."""
        while self._outstanding:
            await self._idle.next()
