"""A client under supervision: what was asked for, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

import anyio

from wsfleet._client.backoff import Backoff
from wsfleet._client.checks import LONGEST
from wsfleet._client.config import Config
from wsfleet._client.states import Step
from wsfleet._wire.signals import Latch
from wsfleet.errors import ConfigError, HandshakeRejectedError

if TYPE_CHECKING:
    from typing import Unpack

    from wsfleet._client.callbacks import Callback
    from wsfleet._client.client import Client
    from wsfleet._client.config import ClientOptions
    from wsfleet._client.events import Handler

Restart: TypeAlias = Literal["permanent", "transient", "temporary"]
"""
When a supervisor starts a client that has ended again: always; when it ended by a crash or a
failure that can heal; never.
"""

_RESTARTS: Final = get_args(Restart)

FIRST_RESTART_DELAY = 1.0
"""Seconds, the longest wait before a first restart; it doubles with each in a row."""

MAX_RESTART_DELAY = 30.0
"""Seconds, the longest wait before any restart."""


@dataclass(frozen=True, slots=True, init=False)
class ChildSpec:
    """
    A client that a supervisor is to start.

    Args:
        url_or_config: a `ws://` or `wss://` URL, or a `Config`.
        name: unique among the supervisor's clients; made up when not given.
        handler: as for `Client`; without it, events go to the supervisor's merged stream.
        restart: "permanent", "transient" or "temporary".
        shutdown: seconds that it has to end when it is stopped; its task is cancelled after
            them.
        on_connect: called with the client at each connection gained, sync or async; what it
            raises is logged.
        on_disconnect: the same at each connection lost.
        **options: see `Config`.

    Attributes:
        config: what the URL and the options make.

    Raises:
        ConfigError: an option has a value that can never work.
    """

    config: Config
    name: str | None
    handler: Handler | None
    restart: Restart
    shutdown: float
    on_connect: Callback | None
    on_disconnect: Callback | None

    def __init__(
        self,
        url_or_config: str | Config,
        *,
        name: str | None = None,
        handler: Handler | None = None,
        restart: Restart = "transient",
        shutdown: float = 5.0,
        on_connect: Callback | None = None,
        on_disconnect: Callback | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        try:
            config = Config.of(url_or_config, options)
        except Exception:
            del self, url_or_config, options  # tracebacks may show local variables
            raise
        if restart not in _RESTARTS:
            raise ConfigError("restart", f"must be one of {', '.join(_RESTARTS)}")
        if not 0 < shutdown <= LONGEST:
            raise ConfigError("shutdown", "must be more than 0 seconds, and finite")
        set_field = object.__setattr__
        set_field(self, "config", config)
        set_field(self, "name", name)
        set_field(self, "handler", handler)
        set_field(self, "restart", restart)
        set_field(self, "shutdown", shutdown)
        set_field(self, "on_connect", on_connect)
        set_field(self, "on_disconnect", on_disconnect)


_OUTCOMES = frozenset({Step.OPEN, Step.SCHEDULE, Step.FAIL, Step.CRASH, Step.CLOSE})
"""Steps at which a client's first attempt to connect has had its outcome."""


class Child:
    """
    One client under supervision.

    Attributes:
        client: the same object over all restarts.
        restarts: how often it was started again.
        stopping: whether somebody asked for its end.
        scope: of the task that keeps it.
        settled: set when its first attempt to connect has had its outcome.
        done: set when it is a child no more.
    """

    __slots__ = (
        "_pace",
        "client",
        "done",
        "restarts",
        "scope",
        "settled",
        "spec",
        "stopping",
    )

    def __init__(self, spec: ChildSpec, client: Client) -> None:
        self.spec = spec
        self.client = client
        self.restarts: int = 0
        self.stopping: bool = False
        self.settled = Latch()
        self.done = Latch()
        self.scope = anyio.CancelScope()
        self._pace = Backoff(FIRST_RESTART_DELAY, MAX_RESTART_DELAY, None)

    def watch(self, step: Step) -> None:
        """Take note of the first outcome."""
        if step in _OUTCOMES:
            self.settled.set()

    def next_delay(self, error: Exception | None) -> float:
        """
        Return the seconds to wait before the next restart.

        Args:
            error: what ended the client; of a refusal, it may have a `Retry-After`.
        """
        if self.client.life.longest >= self.spec.config.stable_after:
            self._pace.reset()
        network = self.client.life.network
        asked = error.retry_after if isinstance(error, HandshakeRejectedError) else None
        delay = self._pace.next_delay(asked, counted=network is None or not network.offline)
        assert delay is not None
        return delay

    def ask_to_stop(self) -> None:
        """
        Begin to end it, politely; it is cancelled after its `shutdown`, whoever waits for that.
        """
        self.stopping = True
        deadline = anyio.current_time() + self.spec.shutdown
        self.scope.deadline = min(self.scope.deadline, deadline)
        self.client.life.ask_to_stop()
        if not self.client.life.alive:
            self.scope.cancel()  # it waits for its restart
