"""
Plays faults and judges what was seen of them.

Rule: a fault is played with real sockets, on whatever event loop runs.
"""

from __future__ import annotations

import math
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.lowlevel import checkpoint

from wsfleet.errors import ConnectError, NotConnectedError, SendError

from .bounds import AT_ONCE, DEFAULTS
from .fault import ENDED, NEW, SAME, Attempt, Fault, Life
from .peer import RIGHT
from .scene import Journal, Scene
from .stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from wsfleet.testing.background import BackgroundLoop

LONGEST: Final = 40.0
"""Seconds after which a fault counts as one that never ends."""

RETRIES: Final = 3
"""What a client is allowed that should try only once."""


@dataclass
class Seen:
    """
    What was seen of a fault.

    Attributes:
        got: what the caller got: what was returned or raised.
        detected: seconds until then.
        recovered: seconds from then until a request was answered; None where none was.
        problems: what is other than expected, in words.
        late: what took longer than its bound, in words.
    """

    got: Any = None
    detected: float = 0.0
    recovered: float | None = None
    problems: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)


class Player:
    """
    Plays faults on the servers of one thread.

    Args:
        loop: runs the servers.
        journal: takes what is logged.
        margin: seconds that each bound has for the work itself.
    """

    def __init__(self, loop: BackgroundLoop, journal: Journal, margin: float) -> None:
        self._loop = loop
        self._journal = journal
        self._margin = margin

    async def play(self, fault: Fault) -> Seen:
        """Play one fault, and return what was seen, with what is wrong about it."""
        seen = Seen()
        try:
            with anyio.fail_after(LONGEST):
                if isinstance(fault, Attempt):
                    await self._attempt(fault, seen)
                elif isinstance(fault, Life):
                    await self._life(fault, seen)
        except TimeoutError:
            seen.problems.append(f"it has not ended after {LONGEST:g} s")
        except Exception as error:  # noqa: BLE001 - a fault that cannot be played is reported
            seen.problems.append(f"it could not be played: {_flat(error)}")
        return seen

    @asynccontextmanager
    async def _scene(self, fault: Fault, **changes: Any) -> AsyncGenerator[Scene]:
        tls = None if fault.tls is None else fault.tls()
        stage = Stage(self._loop, fault.serve, bad=fault.bad, tls=tls, listens=fault.listens)
        async with stage, anyio.create_task_group() as tasks:
            scene = Scene(fault, stage, self._journal, changes)
            tasks.start_soon(scene.live)
            try:
                while not scene.client.life.alive and not scene.ended.is_set():
                    await checkpoint()
                yield scene
            finally:
                with anyio.move_on_after(5, shield=True):
                    await scene.client.close()
                tasks.cancel_scope.cancel()

    # an attempt

    async def _attempt(self, fault: Attempt, seen: Seen) -> None:
        retries = 0 if fault.recover is not None else RETRIES
        async with self._scene(fault, retry_count=retries) as scene:
            scene.stage.bad = math.inf  # a stall of the event loop may excuse an attempt
            began = anyio.current_time()
            sent = await self._unsent(scene)
            seen.got = await outcome(scene.begin())
            seen.detected = anyio.current_time() - began
            if fault.gets is not None:
                judge(seen, sent is False, f"a request during the attempt says sent={sent}")
            self._judge_got(fault, seen)
            self._judge_time(fault, scene, seen)
            if fault.gets is None:
                await self._answered(scene, seen)
        if fault.gets is not None:
            judge(seen, isinstance(scene.error, fault.gets), f"run() raised {scene.error!r}")
            await self._attempt_again(fault, seen)

    async def _attempt_again(self, fault: Attempt, seen: Seen) -> None:
        error = seen.got
        if fault.recover is None or not isinstance(error, ConnectError):
            tries = getattr(error, "attempts", 0)
            judge(seen, tries == 1, f"it was tried {tries} times")
            return
        if not error.recoverable:
            seen.problems.append("the error says that it is not recoverable")
            return
        async with self._scene(fault) as scene:
            began = anyio.current_time()
            await scene.logged("client.reconnect_scheduled")
            if fault.stays:
                return
            if fault.heals is not None:
                await fault.heals(scene.stage)
            await scene.begin()
            await self._answered(scene, seen)
            seen.recovered = anyio.current_time() - began
            self._judge_recovery(seen, sum(self._limits(fault, scene)))

    @staticmethod
    async def _unsent(scene: Scene) -> bool | str | None:
        """Return what `sent` says of a request that is made during the attempt."""
        try:
            await scene.client.request("early")
        except NotConnectedError as error:
            return error.sent
        return "answered"

    # a life

    async def _life(self, fault: Life, seen: Seen) -> None:
        async with self._scene(fault) as scene:
            await scene.begin()
            generation = scene.client.life.generation
            scene.begin_now()
            seen.got = await outcome(fault.act(scene))
            seen.detected = anyio.current_time() - scene.began
            self._judge_got(fault, seen)
            self._judge_sent(fault, seen)
            self._judge_time(fault, scene, seen)
            await self._judge_after(fault, scene, seen, generation)

    async def _judge_after(
        self, fault: Life, scene: Scene, seen: Seen, generation: int
    ) -> None:
        if fault.connection == ENDED:
            await scene.ended.wait()
        else:
            await self._judge_connection(fault, scene, seen, generation)
        for kind in fault.events:
            await scene.event(kind)
        for event in fault.logs:
            await scene.logged(event)
        if fault.tells is not None:
            await scene.stage.until(lambda: scene.stage.told)
            told = scene.stage.told[0]
            judge(seen, told == fault.tells, f"the server was told close code {told}")

    async def _judge_connection(
        self, fault: Life, scene: Scene, seen: Seen, generation: int
    ) -> None:
        began = anyio.current_time()
        await self._until_answered(scene, seen)
        seen.recovered = anyio.current_time() - began
        is_new = scene.client.life.generation > generation
        judge(
            seen, is_new is (fault.connection == NEW), f"a new connection was opened: {is_new}"
        )
        self._judge_recovery(seen, self._limits(fault, scene)[1])

    @staticmethod
    async def _until_answered(scene: Scene, seen: Seen) -> None:
        while True:
            await scene.begin()
            try:
                answer = await scene.client.request("after")
            except SendError:
                await anyio.sleep(0.01)  # what was not yet known when it was sent
                continue
            judge(seen, answer == RIGHT, f"a later request was answered with {answer!r}")
            return

    # judging

    @staticmethod
    async def _answered(scene: Scene, seen: Seen) -> None:
        answer = await scene.client.request("after")
        judge(seen, answer == RIGHT, f"a later request was answered with {answer!r}")

    @staticmethod
    def _judge_got(fault: Fault, seen: Seen) -> None:
        got = seen.got
        if fault.gets is None:
            judge(seen, got in {None, RIGHT}, f"the caller got {got!r}")
            return
        right = type(got) is fault.gets
        judge(seen, right, f"the caller got {got!r}, not {fault.gets.__name__}")
        if right and fault.code is not None:
            code = getattr(got, "status", getattr(got, "code", None))
            judge(seen, code == fault.code, f"its code is {code}")
        text = str(got) if isinstance(got, Exception) else repr(got)
        judge(seen, re.search(fault.says, text), f"{fault.says!r} is not in {text[:500]!r}")

    @staticmethod
    def _judge_sent(fault: Life, seen: Seen) -> None:
        sent = getattr(seen.got, "sent", "")
        judge(seen, sent is fault.sent or sent == fault.sent == "", f"sent is {sent!r}")

    def _judge_time(self, fault: Fault, scene: Scene, seen: Seen) -> None:
        limit = self._limits(fault, scene)[0]
        if seen.detected > limit:
            seen.late.append(f"detected after {seen.detected:.2f} s, not {limit:.2f} s")

    @staticmethod
    def _judge_recovery(seen: Seen, limit: float) -> None:
        assert seen.recovered is not None
        if seen.recovered > limit:
            seen.late.append(f"back after {seen.recovered:.2f} s, not {limit:.2f} s")

    def _limits(self, fault: Fault, scene: Scene) -> tuple[float, float]:
        config = scene.client.config
        values = {
            name: fault.values[name] if name in fault.values else getattr(config, name, 0.0)
            for name in DEFAULTS
        }
        goes_on = fault.recover is None or getattr(fault, "connection", NEW) == SAME
        recover = AT_ONCE if goes_on else fault.recover or AT_ONCE
        return fault.detect.limit(values, self._margin), recover.limit(values, self._margin)


def judge(seen: Seen, holds: object, problem: str) -> None:
    """Note a problem where something does not hold."""
    if not holds:
        seen.problems.append(problem)


def _flat(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return ", ".join(map(_flat, error.exceptions))
    return repr(error)


async def outcome(doing: Any) -> Any:
    """Return what is returned or raised."""
    try:
        return await doing
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return error
