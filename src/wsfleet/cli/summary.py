"""What the demonstration counted, and whether it adds up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from .events import counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsfleet import ClientSupervisor
    from wsfleet.errors import SendError

PHASES: Final = ("before", "during", "after")


class Tally:
    """Counts requests by outcome, and what each client answered in each phase."""

    def __init__(self, pool: ClientSupervisor) -> None:
        self.requests: int = 0
        self.answered: int = 0
        self.unknown: int = 0
        self.failed: int = 0
        self.round_trips: list[float] = []
        self.by_client: dict[str, dict[str, int]] = {
            client.name: dict.fromkeys(PHASES, 0) for client in pool.list_clients()
        }
        self.reconnects: int = 0
        self._pool = pool
        self._phase = PHASES[0]
        self._seen: dict[str, int] = {}

    def answer(self, seconds: float) -> None:
        """Count a request that was answered."""
        self.answered += 1
        self.round_trips.append(seconds)

    def report(self, error: SendError) -> None:
        """Count a request whose caller was told that it failed, or may have."""
        if error.sent is False:
            self.failed += 1
        else:
            self.unknown += 1

    def begin(self, phase: str) -> None:
        """Count what clients answer towards the next phase from here on."""
        self.end()
        self._phase = phase

    def end(self) -> None:
        """Count what clients answered since the phase began."""
        self.reconnects = 0
        for client in self._pool.list_clients():
            metrics = client.get_state_metrics()
            if metrics is not None:
                new = metrics.received - self._seen.get(client.name, 0)
                self.by_client[client.name][self._phase] += new
                self._seen[client.name] = metrics.received
                self.reconnects += metrics.generation - 1

    def contradictions(self) -> Iterator[str]:
        """Say what does not add up, if anything."""
        outcomes = self.answered + self.unknown + self.failed
        if outcomes != self.requests:
            yield f"{self.requests} requests, but {outcomes} outcomes"
        by_clients = sum(sum(row.values()) for row in self.by_client.values())
        if by_clients != self.answered:
            yield f"{self.answered} answers, but the clients count {by_clients}"
        if self.failed:
            yield f"{self.failed} requests found no client, though others were connected"
        for name, row in self.by_client.items():
            if not row["before"] or not row["after"]:
                yield f"{name} answered nothing before or after"


def show_summary(tally: Tally) -> int:
    """Print the table; return 0 when its numbers add up, else 1."""
    console = Console()
    ordered = sorted(tally.round_trips) or [0.0]
    table = Table(title="wsfleet demo")
    table.add_column("count")
    table.add_column("", justify="right")
    table.add_row("requests", str(tally.requests))
    table.add_row("answered", str(tally.answered))
    table.add_row("failed over", str(counts["pool.failover"]))
    table.add_row("unknown (caller was told)", str(tally.unknown))
    table.add_row("not sent (caller was told)", str(tally.failed))
    table.add_row("reconnects", str(tally.reconnects))
    table.add_row("p50", f"{ordered[len(ordered) // 2] * 1e3:.1f} ms")
    table.add_row("p99", f"{ordered[len(ordered) * 99 // 100] * 1e3:.1f} ms")
    console.print(table)
    console.print(_by_client(tally))
    wrong = list(tally.contradictions())
    for line in wrong:
        console.print(f"does not add up: {line}")
    if not wrong:
        console.print(
            "Every request was answered or reported to its caller; the numbers add up."
        )
    return 1 if wrong else 0


def _by_client(tally: Tally) -> Table:
    table = Table(title="answered by each client; server1 was killed and came back")
    table.add_column("client")
    for phase in PHASES:
        table.add_column(phase, justify="right")
    for name, row in tally.by_client.items():
        table.add_row(name, *(str(row[phase]) for phase in PHASES))
    sums = (str(sum(row[phase] for row in tally.by_client.values())) for phase in PHASES)
    table.add_row("all", *sums)
    return table
