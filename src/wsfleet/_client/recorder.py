"""
Records a client: what its connections tell goes to a tape, and from there to a file.

Rule 1: the event loop only puts on the tape; a thread encodes and writes, some lines at a time.
Rule 2: what cannot be recorded is told in the log, and harms nothing.
Rule 3: each life of the client has a tape and a journal of its own.
Rule 4: while the calls of earlier lives hang, a life is not recorded: a disk that takes nothing
costs `MOST_HANGING` threads and a tape, however often the client is started again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio

from wsfleet._log import Log

from .daemon_threads import call_in_thread as _in_thread
from .journal import Journal, open_any_file
from .tape import Tape

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Self

    from wsfleet._wire.tapped import Tap

    from .config import Config

LINGER: Final = 0.05
"""Seconds in which entries gather before they are written together."""

MOST_HANGING: Final = 2
"""Calls of earlier lives that may hang: one to write, and one to finish."""


class Recorder:
    """
    Records one client.

    Args:
        path: of the file.
        client: the client's name.
        url: its endpoint, without secrets.
        unsafe: whether the file may be one that others can change, or none.

    Attributes:
        exits: called with a `SystemExit` of a log processor.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, client: str, url: str, unsafe: bool = False
    ) -> None:
        self.exits: Callable[[BaseException], None] | None = None
        self._path = path
        self._client = client
        self._url = url
        self._new_journal = partial(Journal, opener=open_any_file) if unsafe else Journal
        self._tape: Tape
        self._journal: Journal
        self._calls: list[Callable[..., object]] = []  # that have not returned
        self._begin()

    def _begin(self) -> None:
        self._given_up = False
        self._tape = Tape()
        self._journal = self._new_journal(
            self._path, self._tape, client=self._client, url=self._url
        )

    @classmethod
    def of(cls, config: Config, client: str) -> Self | None:
        """Return what records a client, or None where nothing is to be recorded."""
        if config.record_to is None:
            return None
        return cls(
            config.record_to,
            client=client,
            url=config.safe_url,
            unsafe=config.record_unsafe,
        )

    @property
    def tap(self) -> Tap:
        """What a connection of this life tells."""
        return self._tape.put

    async def run(self) -> None:
        """
        Write what passes until `stop`. Cancelling it loses nothing: `finish` writes the rest.
        """
        tape, journal = self._tape, self._journal
        if len(self._calls) >= MOST_HANGING:
            self._given_up = True
            tape.give_up()
            self._log_failure("the disk has not taken an earlier recording yet")
            return
        await self._call(journal.write)  # a path that cannot work is told at once
        while not self._tell_failed(journal) and await tape.filled():
            await anyio.sleep(LINGER)
            await self._call(journal.write, self._tell_dropped(tape))

    def stop(self) -> None:
        """Let `run` end."""
        self._tape.end()

    async def finish(self, timeout: float) -> None:
        """
        Write the rest and close the file, also when cancelled.

        Args:
            timeout: seconds that the disk has.
        """
        tape, journal, given_up = self._tape, self._journal, self._given_up
        self._begin()
        tape.end()
        if given_up:
            return
        with anyio.move_on_after(timeout, shield=True) as scope:
            await self._call(journal.finish, self._tell_dropped(tape))
        if scope.cancelled_caught:
            self._log_failure(f"the disk did not take the rest within {timeout:g} s")
        else:
            self._tell_failed(journal)

    async def _call(self, function: Callable[..., object], *args: object) -> None:
        self._calls.append(function)
        await _in_thread(self._finish_call, function, *args)

    def _finish_call(self, function: Callable[..., object], *args: object) -> None:
        """Make a call, in its thread."""
        try:
            function(*args)
        finally:
            self._calls.pop()

    def _tell_dropped(self, tape: Tape) -> int:
        count, tape.dropped = tape.dropped, 0
        if count:
            Log(self.exits).warning("recording.dropped", **self._identity(), count=count)
        return count

    def _tell_failed(self, journal: Journal) -> bool:
        """Tell a failure, once; return whether there was one."""
        failure, journal.failure = journal.failure, None
        if failure is not None:
            self._log_failure(str(failure))
        return failure is not None

    def _log_failure(self, error: str) -> None:
        Log(self.exits).warning("recording.failed", **self._identity(), error=error)

    def _identity(self) -> dict[str, Any]:
        return {"client": self._client, "url": self._url, "path": str(self._path)}
