"""What happens while one fault is played: the client, its events and its log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import anyio
import structlog

from wsfleet import Client

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from .fault import Fault
    from .stage import Stage

BASE: Final[Mapping[str, Any]] = {
    "compression": None,
    "heartbeat": None,
    "timeout": 10.0,
    "request_timeout": 10.0,
    "close_timeout": 0.2,
    "retry_count": None,
    "retry_delay": 0.05,
    "max_backoff": 0.05,
}
"""Options of each client; a fault changes those that it is about."""


class Journal:
    """A log that can be waited for; a processor of structlog."""

    def __init__(self) -> None:
        self._entries: list[MutableMapping[str, Any]] = []
        self._changed = anyio.Event()

    def __call__(
        self, _: object, __: str, entry: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Keep an entry, and print it nowhere."""
        self._entries.append(entry)
        self._changed.set()
        self._changed = anyio.Event()
        raise structlog.DropEvent

    def of(self, client: str) -> list[str]:
        """Return the events of one client, and those of no client."""
        told = (entry for entry in self._entries if entry.get("client", client) == client)
        return [entry["event"] for entry in told]

    async def until(self, condition: Callable[[], object]) -> None:
        """Return when a condition holds that depends on the log."""
        while not condition():
            await self._changed.wait()


@dataclass
class Scene:
    """
    One client that meets one fault.

    Attributes:
        fault: which.
        stage: the servers.
        journal: the log of all clients of the run.
        changes: options that are other than those of the fault.
        events: what the client delivered.
        error: what ended the client.
        ended: set when it has ended.
        began: when the caller met the fault.
        asked: set when the request that meets the fault has its outcome, by acts that need it.
    """

    fault: Fault
    stage: Stage
    journal: Journal
    changes: Mapping[str, Any] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)
    error: Exception | None = None
    ended: anyio.Event = field(default_factory=anyio.Event)
    began: float = 0.0
    asked: anyio.Event = field(default_factory=anyio.Event)
    _came: anyio.Event = field(default_factory=anyio.Event)

    @cached_property
    def client(self) -> Client:
        """The client."""
        given = self.fault.options
        own = given if isinstance(given, Mapping) else given(self)
        options = {"handler": self.take} | dict(BASE) | dict(own) | dict(self.changes)
        return Client(self.fault.url(self.stage), **options)

    @property
    def log(self) -> list[str]:
        """What was logged of the client."""
        return self.journal.of(self.client.name)

    def begin_now(self) -> None:
        """Measure from this moment on."""
        self.began = anyio.current_time()

    def take(self, event: Any) -> None:
        """Keep an event."""
        self.events.append(event)
        self._came.set()
        self._came = anyio.Event()

    async def event(self, kind: type[Any]) -> Any:
        """Return the first event of a kind, when it has come."""
        while not (found := [each for each in self.events if isinstance(each, kind)]):
            await self._came.wait()
        return found[0]

    async def logged(self, event: str) -> None:
        """Return when an event was logged of the client."""
        await self.journal.until(lambda: event in self.log)

    async def live(self) -> None:
        """Run the client, and keep what ended it."""
        try:
            await self.client.run()
        except Exception as error:  # noqa: BLE001 - judged by who plays the fault
            self.error = error
        finally:
            self.ended.set()

    async def begin(self) -> None:
        """Return when the client is connected; raise what ended it before."""
        try:
            await self.client.wait_connected()
        except Exception as error:  # noqa: BLE001 - run() knows better what it was
            await self.ended.wait()
            raise self.error or error from None
