"""What the servers of a run saw and did, and how that travels to the process of the clients."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .stalls import Stalls

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that reached a server; times are those of `time.monotonic`."""

    number: int
    connection: int
    at: float


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that a server handed to its network whole."""

    number: int
    connection: int
    at: float


@dataclass(slots=True)
class Link:
    """
    One connection that a server accepted.

    Attributes:
        number: over all endpoints of the run.
        endpoint: the number of its endpoint.
        client: the name of the client that opened it, as its upgrade said.
        opened: when the upgrade was answered, or None.
        harmed: when a fault first met it, or None.
        ended: when the server learnt of its end, or None.
        cut: whether that was within a frame of the client's.
    """

    number: int
    endpoint: int
    client: str = ""
    opened: float | None = None
    harmed: float | None = None
    ended: float | None = None
    cut: bool = False

    def sound_until(self, time: float) -> bool:
        """Tell whether no fault had met it by then."""
        return self.harmed is None or self.harmed > time

    def open_between(self, begin: float, end: float) -> bool:
        """Tell whether it was open at some time between two times."""
        return self.opened is not None and self.opened <= end and (self.ended or end) >= begin


@dataclass(slots=True)
class ServerLog:
    """
    All of it.

    Attributes:
        seen: requests, in the order in which they came.
        answered: answers, in the order in which they went.
        links: connections, by their number.
        complaints: what clients did that no client may do.
        faults: how often each kind was done.
        stalls: when the servers' event loop was late.
    """

    seen: list[Seen] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    stalls: Stalls = field(default_factory=Stalls)

    def to_json(self) -> str:
        """Return it as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, line: str | bytes) -> Self:
        """Read what `to_json` wrote."""
        data: dict[str, Any] = json.loads(line)
        return cls(
            seen=[Seen(**each) for each in data["seen"]],
            answered=[Answered(**each) for each in data["answered"]],
            links=[Link(**each) for each in data["links"]],
            complaints=data["complaints"],
            faults=data["faults"],
            stalls=Stalls([(due, woke) for due, woke in data["stalls"]["spans"]]),
        )
