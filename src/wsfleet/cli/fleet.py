"""`wsfleet connect`: a fleet on real endpoints, between stdin and stdout."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.lowlevel import checkpoint

from wsfleet import (
    Binary,
    ChildSpec,
    ClientSupervisor,
    Message,
    ProtocolError,
    UnmatchedResponse,
    explain,
)
from wsfleet._wire.opening import open_connection
from wsfleet.errors import ConnectError, NoConnectionsError, SendError

from .lines import read_lines
from .output import complain, one_line, show, stop_on_signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsfleet._wire.connection import Connection, Sink
    from wsfleet._wire.opening import Endpoint

OK: Final = 0
UNREACHABLE: Final = 1
MESSAGES_FAILED: Final = 3

_OUTSTANDING: Final = 256
"""Lines that may be under way at once."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The clients to start."""

    specs: tuple[ChildSpec, ...]

    @classmethod
    def of(cls, urls: Sequence[str], clients: int, **options: Any) -> Fleet:
        """
        Make `clients` clients for each URL.

        Raises:
            ConfigError: a URL or an option can never work.
        """
        return cls(
            tuple(
                ChildSpec(url, name=f"{number}.{copy}", **options)
                for number, url in enumerate(urls, 1)
                for copy in range(1, clients + 1)
            )
        )


async def run_fleet(
    fleet: Fleet, *, listen: bool, wait: float, max_attempts: int, idempotent: bool
) -> int:
    """
    Keep the fleet connected until stdin has ended, or until a signal; return the exit code.
    """
    attempts = _Attempts()
    async with (
        ClientSupervisor(fleet.specs, opener=attempts.open) as pool,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(stop_on_signal, tasks.cancel_scope)
        try:
            with anyio.fail_after(wait):
                await pool.wait_connected()
        except (TimeoutError, NoConnectionsError):
            complain(f"none of {len(fleet.specs)} clients could connect")
            attempts.complain()
            tasks.cancel_scope.cancel()
            return UNREACHABLE
        tasks.start_soon(_print_events, pool)
        console = _Console(pool, max_attempts=max_attempts, idempotent=idempotent)
        await console.send_lines()
        if listen:
            await anyio.sleep_forever()
        await checkpoint()  # what came with the last response is printed
        tasks.cancel_scope.cancel()
        return console.exit_code
    return OK  # a signal ended it


class _Attempts:
    """Opens connections, and remembers for each endpoint why it could not be reached."""

    def __init__(self) -> None:
        self._errors: dict[str, ConnectError] = {}

    async def open(self, endpoint: Endpoint, sink: Sink) -> Connection:
        try:
            return await open_connection(endpoint, sink)
        except ConnectError as exc:
            self._errors[exc.url] = exc
            raise

    def complain(self) -> None:
        """Explain the latest error of each endpoint, each in a line."""
        for error in self._errors.values():
            complain(str(explain(error)))


class _Console:
    """Sends lines, many at a time, and counts those that failed."""

    def __init__(self, pool: ClientSupervisor, *, max_attempts: int, idempotent: bool) -> None:
        self.exit_code = OK
        self._pool = pool
        self._max_attempts = max_attempts
        self._idempotent = idempotent
        self._places = anyio.Semaphore(_OUTSTANDING)

    async def send_lines(self) -> None:
        """Send each line of stdin; return when all have their outcome."""
        number = 0
        async with anyio.create_task_group() as tasks:
            async for line in read_lines(sys.stdin.fileno()):
                number += 1
                await self._places.acquire()
                tasks.start_soon(self._send, number, line)

    async def _send(self, number: int, line: str) -> None:
        try:
            response = await self._pool.send_balanced(
                line, max_attempts=self._max_attempts, idempotent=self._idempotent
            )
        except SendError as exc:
            self.exit_code = MESSAGES_FAILED
            outcome = "not sent" if exc.sent is False else "outcome unknown"
            complain(f"line {number}: {outcome}: {explain(exc)}")
        else:
            if response is not None:
                show(one_line(response))
        finally:
            self._places.release()


async def _print_events(pool: ClientSupervisor) -> None:
    async for _, event in pool:
        if isinstance(event, Message | Binary):
            show(one_line(event.data))
        elif isinstance(event, UnmatchedResponse):
            show(one_line(event.response))
        elif isinstance(event, ProtocolError):
            complain(f"the server broke the protocol: {event.reason}")
