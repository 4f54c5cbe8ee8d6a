"""
Tells users that a connection came or went.

Rule 1: what a callback does wrong is logged, and harms nothing.
Rule 2: an async one never holds the connection up; one waits for the one before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import anyio
import structlog

from wsfleet._wire.signals import Changes

from .callables import is_async_callable, refuse_coroutine

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from .client import Client

Callback: TypeAlias = Callable[[Any], Any] | Callable[[Any], Awaitable[Any]]
"""Called with the client; what an async one returns is awaited."""


class Starting(Protocol):
    """Who is told that a client is usable: anyio's `TaskStatus`, or anything alike."""

    def started(self, value: Client, /) -> None:
        """Take the client."""


_log = structlog.get_logger("wsfleet")


class Callbacks:
    """Runs the callbacks of one client in the task group of its life."""

    __slots__ = ("_idle", "_outstanding", "_tasks", "_turn")

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
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
        except Exception:  # noqa: BLE001 - a user's code; rule 1
            _log_failure(callback, identity)

    async def _await(
        self, callback: Callback, client: object, identity: Mapping[str, Any]
    ) -> None:
        try:
            async with self._turn_lock():
                await callback(client)
        except Exception:  # noqa: BLE001 - a user's code; rule 1
            _log_failure(callback, identity)
        finally:
            self._outstanding -= 1
            if not self._outstanding:
                self._idle.tell()

    def _turn_lock(self) -> anyio.Lock:
        if self._turn is None:
            self._turn = anyio.Lock()
        return self._turn

    async def settled(self) -> None:
        """Return when none runs."""
        while self._outstanding:
            await self._idle.next()


def _log_failure(callback: Callback, identity: Mapping[str, Any]) -> None:
    name = getattr(callback, "__qualname__", type(callback).__name__)
    _log.exception("client.callback_failed", **identity, callback=name)
