"""
Serves one connection: moves its bytes, prepares it, beats its hearts, and sees it to its end.

Knows nothing of the connections before and after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio

from wsfleet._wire.frames import CloseCode
from wsfleet.errors import ConnectError, RateLimitedError, SendError, WsfleetError

from .heartbeat import PingPong
from .heartbeats import ClientPing, JsonRpcHeartbeat, ServerBeat
from .user_code import crash_of, method_named, raised_by_user

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio.abc import TaskGroup

    from wsfleet._wire.connection import Connection, Ending

    from .dialogue import Dialogue
    from .heartbeat import Heartbeat
    from .preparation import Preparation, Restored
    from .pulse import Pulse


class Owner(Protocol):
    """Whose connection is served."""

    clock: Callable[[], float]

    def on_ready(self, restored: Restored | None) -> None:
        """Take note that it can be used, and what was restored for that."""

    def on_refused(self, error: ConnectError) -> None:
        """Take note that it cannot be used, and why."""

    def on_ended(self, ending: Ending) -> float:
        """
        Take note that it can no longer be used; return the seconds that the peer has for its
        goodbye.
        """

    def on_dead(self) -> None:
        """Take note that a heartbeat gave the peer up."""

    def crash(self, error: BaseException) -> None:
        """End the client: a user's heartbeat or venue raised this."""


class Session:
    """
    One connection in use.

    Args:
        connection: the one.
        owner: told of its life.
        dialogue: what is said over it by wsfleet itself.
        beats: its heartbeats, each with its pulse.
        preparation: to be done before it can be used.
    """

    __slots__ = ("_beats", "_connection", "_dialogue", "_owner", "_preparation")

    def __init__(
        self,
        connection: Connection,
        owner: Owner,
        dialogue: Dialogue,
        beats: Sequence[tuple[Heartbeat, Pulse]],
        preparation: Preparation,
    ) -> None:
        self._connection = connection
        self._owner = owner
        self._dialogue = dialogue
        self._beats = beats
        self._preparation = preparation

    async def serve(self) -> None:
        """
        Serve the connection until its socket is gone.

        Cancelling it says goodbye without waiting for the peer's.
        """
        is_alone = not self._connection.pumped and not self._preparation.needed
        # A heartbeat of the user's gets a task that it can cancel without harm to this one.
        if is_alone and len(self._beats) <= 1 and all(type(b) in _OURS for b, _ in self._beats):
            await self._serve_alone()
        else:
            await self._serve_in_tasks()

    async def _serve_alone(self) -> None:
        """Do it all in this task: another for the one heartbeat takes a third of a client."""
        connection = self._connection
        try:
            self._owner.on_ready(None)
            connection.start()
            for heartbeat, pulse in self._beats:
                await self._beat_until_ended(heartbeat, pulse)
            await connection.ended()
        finally:
            await self._end()

    async def _beat_until_ended(self, heartbeat: Heartbeat, pulse: Pulse) -> None:
        connection = self._connection
        with anyio.CancelScope() as scope:
            connection.on_ended = scope.cancel
            try:
                if connection.ending is None:
                    await self._beat(heartbeat, pulse)
            finally:
                connection.on_ended = None

    async def _serve_in_tasks(self) -> None:
        connection = self._connection
        async with anyio.create_task_group() as tasks:
            if connection.pumped:
                tasks.start_soon(connection.pump)
            if self._preparation.needed:
                tasks.start_soon(self._prepare, tasks)
            else:
                self._begin(tasks, None)
            try:
                connection.start()
                await connection.ended()
            finally:
                await self._end()
            tasks.cancel_scope.cancel()

    async def _end(self) -> None:
        connection = self._connection
        connection.close(CloseCode.GOING_AWAY)
        assert connection.ending is not None
        close_timeout = self._owner.on_ended(connection.ending)
        # When cancelled this does not wait, but frees the socket all the same.
        await connection.finish(close_timeout)

    def _begin(self, tasks: TaskGroup, restored: Restored | None) -> None:
        for heartbeat, pulse in self._beats:
            tasks.start_soon(self._beat, heartbeat, pulse)
        self._owner.on_ready(restored)

    async def _prepare(self, tasks: TaskGroup) -> None:
        try:
            restored = await self._preparation.run(self._dialogue, self._owner.clock)
            if not self._connection.open:
                return
            self._begin(tasks, restored)
            await self._preparation.keep(self._dialogue)
        except ConnectError as error:
            self._owner.on_refused(error)
            self._connection.close(CloseCode.NORMAL_CLOSURE, "the session was refused")
        except (TimeoutError, RateLimitedError):
            self._connection.close(
                CloseCode.NORMAL_CLOSURE, "the login was not renewed in time"
            )
        except SendError:
            pass  # the connection has ended, and its end says why
        except BaseException as exc:  # noqa: BLE001 - a user's venue; it reaches the owner
            self._owner.crash(crash_of(exc, self._preparation, in_own_task=True))

    async def _beat(self, heartbeat: Heartbeat, pulse: Pulse) -> None:
        reason = "heartbeat missed: the peer is silent"
        try:
            await heartbeat.run(pulse)
        except SendError:
            return  # the connection has ended, and its end says why
        except BaseException as exc:  # noqa: BLE001 - may be a user's heartbeat; it reaches the owner
            if not _is_of_the_server(exc, heartbeat):
                run = method_named(heartbeat, "run")
                self._owner.crash(crash_of(exc, run, in_own_task=type(heartbeat) not in _OURS))
                return
            refusal = str(exc) if isinstance(exc, WsfleetError) else type(exc).__name__
            reason = f"heartbeat refused: {refusal}"
        self._owner.on_dead()
        self._connection.abort(reason)


_OURS = (PingPong, JsonRpcHeartbeat, ClientPing, ServerBeat)


def _is_of_the_server(error: BaseException, heartbeat: Heartbeat) -> bool:
    """Whether a heartbeat raised because of what the server sent, and not because of a user."""
    if not isinstance(error, Exception) or raised_by_user(error):
        return False
    return isinstance(error, WsfleetError) or type(heartbeat) in _OURS
