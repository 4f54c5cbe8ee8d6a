"""
Faults as data: what goes wrong, and what a client makes of it.

Rule: what is written here is on the page and is checked by each run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from wsfleet.errors import WsfleetError

from .bounds import AT_ONCE, RETRIED, Bound
from .peer import good

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping

    from .peer import Script
    from .scene import Scene
    from .stage import Stage

Options: TypeAlias = "Mapping[str, Any] | Callable[[Scene], Mapping[str, Any]]"
"""What `Client` is given; or a function that makes it for a run."""

NO_OPTIONS: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    One thing that goes wrong.

    Attributes:
        name: identifies it on the command line.
        words: what goes wrong, in one plain sentence without its full stop.
        serve: how the server behaves on its bad connections.
        bad: how many connections are bad.
        tls: makes the context of a server with TLS.
        listens: whether the server's port is open at first.
        url: where the client connects to.
        options: of the client, beside those of each run.
        values: seconds of what a bound may name and is no option of `Config`.
        gets: the class of what the caller gets; None for what it asked for.
        code: the `code` or `status` of an error.
        shown: what the page says that the caller gets, where its class does not say it.
        says: a pattern that is found in the text of what the caller gets.
        detect: the longest time until the caller gets it.
        recover: the longest time after that until requests are answered again; None where that
            does not happen by itself.
        quick: whether it is one of those that each run of the tests plays.
        alone: whether it keeps the event loop busy, so that no other runs beside it.
    """

    name: str
    words: str
    serve: Script = good
    bad: float = 1
    tls: Callable[[], ssl.SSLContext] | None = None
    listens: bool = True
    url: Callable[[Stage], str] = field(default=lambda stage: stage.url)
    options: Options = field(default_factory=lambda: NO_OPTIONS)
    values: Mapping[str, float] = field(default_factory=dict)
    gets: type[Any] | None = None
    code: int | None = None
    shown: str = ""
    says: str = ""
    detect: Bound = AT_ONCE
    recover: Bound | None = RETRIED
    quick: bool = False
    alone: bool = False

    @property
    def caller(self) -> str:
        """What the caller gets, for the page."""
        if self.gets is None:
            return "the answer"
        if not issubclass(self.gets, WsfleetError):
            return f"`{self.gets.__name__}`"
        return f"`{self.gets.__name__}`" + (f", {self.code}" if self.code else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt(Fault):
    """
    A fault of an attempt to connect.

    Attributes:
        heals: makes the server good, where a good second connection is not enough.
        stays: whether the run cannot make the server good; it sees then that the client tries
            again.
    """

    heals: Callable[[Stage], Awaitable[None]] | None = None
    stays: bool = False


Act: TypeAlias = "Callable[[Scene], Awaitable[Any]]"
"""What the caller does to meet the fault; what it returns or raises is what the caller gets."""

SAME, NEW, ENDED = "same", "new", "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life(Fault):
    """
    A fault in the life of a connection.

    Attributes:
        act: what the caller does.
        sent: the `sent` of the error, or "" where it has none.
        connection: whether requests go on over the same connection or a new one, or the client
            has ended.
        tells: the code of the close frame that the server gets.
        events: kinds of events that are delivered beside what the caller gets.
        logs: events in the log.
    """

    act: Act
    sent: bool | str | None = ""
    connection: str = NEW
    tells: int | None = None
    events: tuple[type[Any], ...] = ()
    logs: tuple[str, ...] = ()
