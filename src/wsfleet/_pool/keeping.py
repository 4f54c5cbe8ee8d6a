"""
What keeps one child alive.

Rule 1: a client that failed is started again, paced, and counts for nothing; one that crashed
is counted.
Rule 2: here the errors of users' handlers end: logged by the client, counted, and raised only
as a restart limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from wsfleet._client.states import Phase
from wsfleet._client.user_code import shield_unless_cancelled
from wsfleet.errors import RestartLimitError, WsfleetError

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from wsfleet._client.client import Client
    from wsfleet._log import Log

    from .child import Child
    from .intensity import RestartIntensity


class Keeper:
    """
    Runs a child's client, again and again, for as long as its restart kind asks for.

    Args:
        child: the one to keep.
        intensity: counts the crashes of the whole pool.
        log: the supervisor's.
        task_status: of whoever waits for the first connection, or None when nobody does.
    """

    def __init__(
        self,
        child: Child,
        intensity: RestartIntensity,
        log: Log,
        task_status: TaskStatus[Client] | None,
    ) -> None:
        self._child = child
        self._client = child.client
        self._intensity = intensity
        self._log = log
        self._awaited = task_status

    async def run(self) -> str:
        """
        Keep the child; return why it ended.

        Raises:
            RestartLimitError: it crashed once too often.
            Exception: what kept the client from its first connection, where somebody waits for
                that.
        """
        while True:
            error = await self._live_once()
            if not self._is_to_restart(error):
                return self._reason(error)
            self._child.scope.shield = True
            delay = self._child.next_delay(error)
            self._child.restarts += 1
            self._log.warning(
                "supervisor.child_restarting",
                client=self._client.name,
                url=self._client.url,
                reason=self._reason(error),
                delay=round(delay, 6),
                restarts=self._child.restarts,
            )
            rested = await self._client.life.rest(delay)
            if not rested and self._child.spec.restart != "permanent":
                return "closed"

    async def _live_once(self) -> Exception | None:
        try:
            await self._client.run(task_status=self)
        except Exception as exc:
            if self._awaited is not None:
                raise
            return exc
        return None

    def started(self, client: Client, /) -> None:
        """Take note that the client is usable; called by it, as a task status."""
        if self._client.life.phase is Phase.CONNECTED:  # else it was closed before
            self._log.info(
                "supervisor.child_started",
                client=client.name,
                url=client.url,
                restart=self._child.spec.restart,
            )
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            awaited.started(client)
            shield_unless_cancelled(self._child.scope)  # see the supervisor's `_keep`

    def _is_to_restart(self, error: Exception | None) -> bool:
        restart = self._child.spec.restart
        if self._child.stopping or restart == "temporary":
            return False
        failed = self._client.life.phase is Phase.FAILED
        if error is not None and not failed:  # whatever it is: a bug of ours is not swallowed
            self._count_crash(error)
            return True
        heals = isinstance(error, WsfleetError) and error.recoverable
        return restart == "permanent" or (failed and heals)

    def _count_crash(self, error: Exception | None) -> None:
        if self._intensity.count(anyio.current_time()):
            return
        limits = {
            "max_restarts": self._intensity.max_restarts,
            "max_seconds": self._intensity.max_seconds,
        }
        self._log.error("supervisor.restart_limit_reached", client=self._client.name, **limits)
        raise RestartLimitError(
            self._client.name, self._intensity.max_restarts, self._intensity.max_seconds
        ) from error

    def _reason(self, error: Exception | None) -> str:
        if self._child.stopping:
            return "stopped"
        if error is None:
            return self._client.life.phase.value
        return f"{self._client.life.phase.value}: {type(error).__name__}"
