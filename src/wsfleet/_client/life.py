"""
The life of a client: connect, serve, lose, wait, and again.

Rule 1: one task lives it; others only ask it to stop, to hurry or to crash.
Rule 2: every change of phase is made, logged and told to the watchers in `_move`, and nowhere
else.
Rule 3: it raises what ended it for good: what refused the last connection, or what a user's
code raised.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio
from anyio.lowlevel import checkpoint

from wsfleet._log import write
from wsfleet._wire.frames import CloseCode
from wsfleet._wire.signals import Latch
from wsfleet.errors import (
    ConnectError,
    ConnectTimeoutError,
    DisconnectedError,
    StrayCancellationError,
)

from .availability import Availability
from .backoff import Backoff
from .beats import Beats
from .binding import LoopBinding
from .callbacks import Callbacks
from .clock import NO_PATIENCE, running_clock
from .dialogue import Dialogue
from .fairness import SendBudget, running_budget
from .gate import count_control, turn_to_connect
from .interruption import Interruption
from .loss import ended, refused, unprepared
from .reading_failures import ReadingFailures
from .session import Session
from .states import Phase, Step, after, level_of
from .user_code import crash_of, is_exit, sole, turn_of_others, unless_cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wsfleet._wire.connection import Connection, Ending, Sink
    from wsfleet._wire.opening import Endpoint

    from .callbacks import Callback
    from .clock import NewWaiter
    from .config import Config
    from .local_network import LocalNetwork
    from .loss import Loss
    from .owner import Owner
    from .preparation import Restored
    from .reading import Reading

    Opener: TypeAlias = Callable[[Endpoint, Sink], Awaitable[Connection]]
    Watcher: TypeAlias = Callable[[Step], None]

BRISK: Final = 0.5
"""Seconds at most that the peer has for its goodbye when a reconnect was asked for."""


class Life(Availability):
    """
    Lives one client's life, over and over when asked.

    Args:
        name: the client's.
        config: how to connect.
        opener: the door to the network.
    """

    # More attributes than Python's small dictionaries of instances hold: slots save 1.5 kB.
    __slots__ = (
        "_announce",
        "_backoff",
        "_callbacks",
        "_config",
        "_crash",
        "_finished",
        "_finishing",
        "_hurry",
        "_interruption",
        "_open",
        "_refusal",
        "_since",
        "_stopping",
        "_waiting",
        "beats",
        "budget",
        "clock",
        "current",
        "failures",
        "home",
        "in_own_task",
        "longest",
        "network",
        "new_waiter",
        "owner",
        "reading",
        "url",
        "watchers",
    )

    def __init__(self, name: str, config: Config, opener: Opener) -> None:
        super().__init__(name)
        self.phase: Phase  # set by the base class; users' type checkers want its type here
        self.generation: int  # the same
        self.owner: Owner
        self.current: Connection | None = None  # in use, or being prepared
        self.failures: ReadingFailures = ReadingFailures(self)
        self.beats: Beats = Beats(
            config.heartbeats(),
            config.heartbeat_interval,
            config.latency_buffer_size,
            self.failures.add,
        )
        self.reading: Reading  # as the owner
        self.home: LoopBinding = LoopBinding(name)
        self.network: LocalNetwork | None = None  # that of its fleet
        self.in_own_task: bool = False  # whether wsfleet started the task that lives it
        self.watchers: list[Watcher] = []
        self.clock: Callable[[], float] = anyio.current_time
        self.new_waiter: NewWaiter = NO_PATIENCE
        self.budget: SendBudget = running_budget()
        self.url: str = config.safe_url
        self._config = config
        self._open = partial(opener, config.endpoint())
        self._backoff = Backoff(config.retry_delay, config.max_backoff, config.retry_count)
        self.longest: float = 0.0
        self._since = 0.0  # when the attempt began, then when the connection was usable
        self._interruption = Interruption()
        self._refusal: ConnectError | None = None
        self._callbacks: Callbacks | None = None
        self._waiting: anyio.CancelScope | None = None
        self._finished: Latch | None = None
        self._finishing: anyio.CancelScope | None = None  # of the handler, after the end
        self._announce: Callable[[], None] | None = None
        self._stopping = self._hurry = False
        self._crash: BaseException | None = None

    # what others ask of it

    @property
    def exit(self) -> BaseException | None:
        """What a user's code raised to end the program, such as `SystemExit`."""
        return self._crash if self._crash is not None and is_exit(self._crash) else None

    @property
    def stopping(self) -> bool:
        """Whether somebody asked for the end of the client."""
        return self._stopping

    def ask_to_stop(self) -> None:
        """Begin to end it, politely."""
        self._stopping = True
        if self.phase is Phase.NEW:
            self._move(Step.CLOSE)
        self._interrupt()
        if self.current is not None:
            self.current.close()
        if self._finishing is not None:
            deadline = anyio.current_time() + self._config.close_timeout
            self._finishing.deadline = min(self._finishing.deadline, deadline)

    async def close(self) -> None:
        """End it, politely; returns when its socket is gone."""
        finished = self._finished
        self.ask_to_stop()
        await checkpoint()
        if finished is not None:
            await finished.wait()

    async def reconnect(self) -> None:
        """
        Drop the connection and open a new one now; returns when it is open.

        Raises:
            NotConnectedError: nobody lives this life, or it was closed meanwhile.
            ConnectError: no connection could be opened, for good.
        """
        generation = self.generation
        self._hurry = self.phase in {Phase.CONNECTED, Phase.LOST}
        self._backoff.reset()
        if self.connection is not None:
            self.connection.close(CloseCode.NORMAL_CLOSURE, "reconnecting")
        elif self.phase is Phase.WAITING:
            self._interrupt()
        await self.until_connected(generation)

    def crash(self, error: BaseException) -> None:
        """
        End it because of what a user's code raised; the first error counts, but one that ends
        the program comes first.
        """
        if self._crash is None or (is_exit(error) and not is_exit(self._crash)):
            self._crash = error
            self._interrupt()
            if self.current is not None:
                self.current.fail(CloseCode.INTERNAL_ERROR, "the client's handler failed")

    # the one task

    async def run(self, announce: Callable[[], None]) -> None:
        """
        Live it.

        Args:
            announce: called once, when the first connection is open.

        Raises:
            ConnectError: no connection could be opened, for good.
            DisconnectedError: the last connection was lost, for good.
            BaseException: what a user's code raised.
        """
        self._begin(announce)
        del announce  # held otherwise for as long as the client
        try:
            async with anyio.create_task_group() as tasks:
                if self.owner.on_connect is not None or self.owner.on_disconnect is not None:
                    self._callbacks = Callbacks(tasks, self.crash)
                if self.owner.worker is not None:
                    tasks.start_soon(self.owner.worker)
                if self.owner.recorder is not None:
                    tasks.start_soon(self.owner.recorder.run)
                await self._live()
                await self._wind_up(tasks.cancel_scope)
        except BaseException as exc:  # noqa: BLE001 - raised again below, or at once if cancelled
            self.crash(sole(await self._unless_cancelled(exc)))
        finally:
            if self.owner.recorder is not None:
                await self.owner.recorder.finish(self._config.close_timeout)
            self._end()
        if (error := self._crash or self._error) is not None:
            raise error

    async def _unless_cancelled(self, error: BaseException) -> BaseException:
        try:
            return unless_cancelled(error)
        except BaseException:
            if self.in_own_task and not self._stopping:
                await turn_of_others()  # where all tasks were cancelled, the owner stops this
                if not self._stopping:
                    return crash_of(error, self.owner.client, in_own_task=True)
            if isinstance(self._crash, StrayCancellationError):
                self._crash = None  # all tasks of the event loop were cancelled, ours included
            raise

    async def rest(self, seconds: float) -> bool:
        """Wait between two lives; False when it was closed, before or meanwhile."""
        with self._interruptible():
            await self._rest(seconds)
        return not self._stopping

    def _begin(self, announce: Callable[[], None]) -> None:
        self.home.bind()
        self.clock, self.new_waiter = running_clock(self._config.stall_after)
        self.budget = running_budget()
        if self.phase in {Phase.NEW, Phase.CLOSED}:
            self.owner.channels.clear()
            self._interruption.end()
        self._announce = announce
        self._stopping = self._hurry = False
        self._crash = self._error = None
        self._backoff.reset()
        self.longest = 0.0
        self._finished = Latch()

    async def _wind_up(self, tasks: anyio.CancelScope) -> None:
        """Let the callbacks and the worker finish; at once where somebody asked for the end."""
        if self._callbacks is not None:
            with anyio.move_on_after(self._config.close_timeout):
                await self._callbacks.settled()
        if self._to_end():
            tasks.cancel()
        else:
            self._finishing = tasks
            self.owner.over(self._error)
            if self.owner.recorder is not None:
                self.owner.recorder.stop()

    def _end(self) -> None:
        if self.phase is Phase.CONNECTED:  # Ctrl-C can come between any two steps
            self._move(Step.LOSE, code=None, reason="", clean=False, unanswered=0)
        if self.alive:  # cancelled
            self._move_to_end()
        self._callbacks = self._announce = self._finishing = None
        self.new_waiter.stop()
        self.home.release()
        assert self._finished is not None
        self._finished.set()

    def _announce_start(self) -> None:
        announce, self._announce = self._announce, None
        if announce is not None:
            announce()

    async def _live(self) -> None:
        while not self._to_end():
            loss = await self._connect_and_serve()
            if self._to_end():
                break
            if loss is not None and not self._hurry and not await self._wait_after(loss):
                return
        self._move_to_end()
        if self.phase is Phase.CLOSED:
            self._announce_start()

    def _move_to_end(self) -> None:
        if self._crash is None or self.exit is not None:
            self._move(Step.CLOSE)
        else:
            self._move(Step.CRASH, exc_info=self._crash)

    def _to_end(self) -> bool:
        return self._stopping or self._crash is not None

    async def _connect_and_serve(self) -> Loss | None:
        """Live through one connection; None when that was interrupted."""
        self._hurry = False
        self._move(Step.CONNECT, attempt=self._backoff.failures + 1)
        connection: Connection | None = None
        self._refusal = None
        try:
            # No variable for the scope: it would be held for as long as the connection.
            with self._interruptible():
                if self._to_end():  # a log processor can end the program
                    self._interrupt()
                await self._turn()
                self._since = self.clock()
                connection = _opened(await self._open(self.owner.delivery))
        except ConnectError as error:
            if self.network is not None:
                self.network.attempted(error)
            return refused(error)
        except BaseException as exc:  # noqa: BLE001 - a user's limiter or http_client; it reaches the owner
            self.crash(crash_of(exc, self._open.func))
        if connection is None:
            return None
        if self.network is not None:
            self.network.attempted(None)
        openings = self.generation
        await self._take_up(connection).serve()
        assert connection.ending is not None
        if self._refusal is not None:
            return refused(self._refusal)
        if self.generation == openings:
            return unprepared(self.url, connection.ending)
        return ended(self._name, connection.ending)

    async def _turn(self) -> None:
        """Wait until a connection may be attempted."""
        network, limiter, own = self.network, self._config.connect_limiter, self.in_own_task
        if limiter is None and (network is None or not network.offline):
            return  # nothing to wait for: saves three coroutines for each attempt
        if network is not None:
            await network.turn()
        await turn_to_connect(limiter, self.url, in_own_task=own)
        # Leave to connect that was granted before an outage is too old after it: all that have
        # such leave would connect at once.
        while network is not None and await network.turn():
            await turn_to_connect(limiter, self.url, in_own_task=own)

    def _take_up(self, connection: Connection) -> Session:
        owner = self.owner
        count_control(connection, owner.limiter, self.crash)
        self.current = self.new_waiter.grace.connection = connection
        self._waiting = None
        self.failures.begin()
        self.reading.prepare(connection)
        owner.delivery.inbox.source = connection.decoder
        dialogue = Dialogue(connection, owner.requests, owner.limiter, self.new_waiter)
        beats = self.beats.begin(connection, dialogue, self.clock)
        owner.delivery.await_gap(self._interruption.gap if self._interruption.lasts else None)
        if self._to_end():  # asked for in the moment in which it opened
            connection.close()
        return Session(connection, self, dialogue, beats, owner.preparation)

    # what its sessions tell

    def on_ready(self, restored: Restored | None) -> None:
        """Use the connection from here on; see `session.Owner`."""
        self.connection = self.current
        assert self.connection is not None
        self.generation += 1
        self.owner.delivery.tell_gap()
        self._interruption.end()
        self.reading.begin()
        took, self._since = self.clock() - self._since, self.clock()
        if restored is not None:
            level = "warning" if restored.rejected else "info"
            self._log(level, "subscriptions.restored", **restored._asdict())
        self._move(Step.OPEN, seconds=round(took, 6))
        self._call_back(self.owner.on_connect)
        self._announce_start()

    def on_refused(self, error: ConnectError) -> None:
        """Keep in mind why the connection cannot be used; see `session.Owner`."""
        self._refusal = error

    def on_ended(self, ending: Ending) -> float:
        """Take leave of the connection; see `session.Owner`."""
        was_usable = self.connection is not None
        self.connection = self.current = None
        self.reading.end()
        self.beats.end()
        loss, channels = ended(self._name, ending), self.owner.channels.held()
        failed = self.owner.lost(lambda: ended(self._name, ending).error)
        if was_usable:
            self._interruption.begin(channels, loss.cause)
            self._lose(ending, failed)
        patience = self._config.close_timeout
        return min(BRISK, patience) if self._hurry else patience

    def _lose(self, ending: Ending, failed: int) -> None:
        lasted = self.clock() - self._since
        self.longest = max(self.longest, lasted)
        if lasted >= self._config.stable_after:
            self._backoff.reset()
        self._move(
            Step.LOSE,
            code=ending.code,
            reason=ending.reason,
            clean=ending.clean,
            unanswered=failed,
        )
        if self.network is not None:
            self._tell_of_loss(self.network, ending)
        self._call_back(self.owner.on_disconnect)

    def _tell_of_loss(self, network: LocalNetwork, ending: Ending) -> None:
        if ending.code is not None:
            network.closed()
        elif not (ending.clean or self._hurry or self._to_end()):
            network.lost(self._interruption, self._backoff)

    def on_dead(self) -> None:
        """Log that a heartbeat gave the peer up; see `session.Owner`."""
        record = self.beats.record
        record.failures += 1
        self._log("warning", "heartbeat.missed", failures=record.failures)

    async def _wait_after(self, loss: Loss) -> bool:
        """Wait before the next try; False when there is none."""
        if loss.clean and not self._config.reconnect_on_error:
            self._move(Step.CLOSE)
            return False
        delay = None
        if loss.recoverable and self._config.reconnect_on_error:
            delay = self._backoff.next_delay(
                loss.retry_after, counted=not self._is_excused(loss.error)
            )
        if delay is None:
            self._give_up(loss.error)
            return False
        self._move(
            Step.SCHEDULE, delay=round(delay, 6), retry=self._backoff.failures, error=loss.cause
        )
        with self._interruptible() as scope:
            if self._to_end():  # as above
                scope.cancel()
            await self._rest(delay)
        return True

    async def _rest(self, seconds: float) -> None:
        if self.network is None:
            await anyio.sleep(seconds)
        else:
            await self.network.rest(seconds)

    def _is_excused(self, error: Exception) -> bool:
        """Whether a failure says nothing about the server: no network, or a blocked loop."""
        if self.network is not None and self.network.excuses(self._since, error):
            return True
        if not isinstance(error, ConnectTimeoutError) or self.connection is not None:
            return False
        # A short delay is no excuse: a busy loop would try a silent server for ever.
        shortest = min(self._config.stall_after, self._config.timeout / 2)
        return self.new_waiter.grace.stalls.since(self._since, self.clock(), shortest) > 0.0

    def _give_up(self, error: ConnectError | DisconnectedError) -> None:
        self._error = error
        attempts = max(self._backoff.failures, 1)
        if isinstance(error, ConnectError):
            error.attempts = attempts
        self._move(
            Step.FAIL, error=str(error), error_type=type(error).__name__, attempts=attempts
        )

    # its means

    def _interruptible(self) -> anyio.CancelScope:
        self._waiting = anyio.CancelScope()
        return self._waiting

    def _interrupt(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()

    def _call_back(self, callback: Callback | None) -> None:
        if callback is not None and self._callbacks is not None:
            self._callbacks.call(callback, self.owner.client, self.identity())

    def identity(self) -> dict[str, Any]:
        """Return the keys that each of its log entries has."""
        return {"client": self._name, "url": self.url, "generation": self.generation}

    def _log(self, level: str, event: str, **facts: Any) -> None:
        write(self.crash, level, event, self.identity() | facts)

    def _move(self, step: Step, **facts: Any) -> None:
        self.phase = after(self.phase, step)
        level = level_of(step, asked_for=self._hurry or self._stopping)
        write(self.crash, level, step.value, self.identity() | facts)
        self._moved.tell()
        for watcher in self.watchers:
            watcher(step)


def _opened(connection: Connection | None) -> Connection:
    """Refuse that a user's opener opened nothing: it would be asked again for ever."""
    if connection is None:
        raise TypeError("the opener returned None, and not a connection")
    return connection
