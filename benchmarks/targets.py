"""What was aimed at, and whether it was met, computed from the results."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.table import Table

from benchmarks.report import as_text, median_of, ratio
from benchmarks.workloads import (
    FRAGMENTED,
    INBOUND,
    INBOUND_SIZES,
    LARGE,
    LOOPS,
    OPENING,
    POOL,
    STRUCT,
    TRIPS,
    UPLOADS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from benchmarks.report import Results

NO_PEERS: Final = {"wsfleet", "limit", "keep"}
FLAT: Final = 1.5
"""By how much a cost may differ between sizes and still be called flat."""

EXTRA: Final = 10.0
"""Microseconds of CPU that choosing a client may take."""


@dataclass(frozen=True)
class Outcome:
    """
    One target.

    Attributes:
        what: was measured.
        wanted: in words.
        measured: in words.
        met: whether it was reached.
    """

    what: str
    wanted: str
    measured: str
    met: bool

    @property
    def verdict(self) -> str:
        return "met" if self.met else "**missed**"


def outcomes(results: Results) -> list[Outcome]:
    """Return every target of which all that it needs was measured."""
    found = []
    for judge in (_inbound, _round_trips, _pool, _opening, _flat):
        found += list(judge(results))
    return found


def show_targets(console: Console, results: Results) -> None:
    """Print them."""
    table = Table(title="targets", title_justify="left")
    for column in ("what", "wanted", "measured", ""):
        table.add_column(column)
    for outcome in outcomes(results):
        verdict = "met" if outcome.met else "[bold]missed"
        table.add_row(outcome.what, outcome.wanted, outcome.measured, verdict)
    console.print(table)


def _inbound(results: Results) -> Iterator[Outcome]:
    for loop in LOOPS:
        for title in INBOUND_SIZES:
            least = 0.9 if title == "100 KiB" else 1.0
            for tls in ("", ", TLS"):
                yield from _best(results, f"{INBOUND}: {title}{tls}, {loop}", least)
        yield from _best(results, f"{INBOUND}: JSON ticker, {loop}", 1.5)
        yield from _best(results, f"{INBOUND}: {STRUCT}, {loop}", 1.5)
    yield from _against(results, f"{INBOUND}: 256 B, trio", "websockets", 2.0)


def _round_trips(results: Results) -> Iterator[Outcome]:
    for loop in LOOPS:
        for tls in ("", ", TLS"):
            key = f"{TRIPS}: 256 B{tls}, {loop}"
            yield from _against(results, key, "picows", 0.9)
            yield from _against(results, key, "aiohttp", 1.2)
        yield from _requests(results, loop)
    yield from _against(results, f"{TRIPS}: 256 B, trio", "websockets", 1.2)


def _best(results: Results, key: str, least: float) -> Iterator[Outcome]:
    """Compare with the peer that leaves us the smallest ratio."""
    peers = results.get(key, {})
    ratios = {
        peer: ratio(peers["wsfleet"], rounds)
        for peer, rounds in peers.items()
        if peer not in NO_PEERS
    }
    if ratios:
        best = min(ratios, key=lambda peer: ratios[peer][0])
        yield _at_least(key, f"the best peer, {best}", ratios[best], least)


def _against(results: Results, key: str, peer: str, least: float) -> Iterator[Outcome]:
    peers = results.get(key, {})
    if peer in peers:
        yield _at_least(key, peer, ratio(peers["wsfleet"], peers[peer]), least)


def _at_least(
    what: str, of: str, measured: tuple[float, float, float], least: float
) -> Outcome:
    return Outcome(
        what, f"at least {least} x {of}", as_text(measured), round(measured[0], 2) >= least
    )


def _requests(results: Results, loop: str) -> Iterator[Outcome]:
    key, echo = f"{TRIPS}: request(), {loop}", f"{TRIPS}: 256 B, {loop}"
    if key in results and echo in results:
        measured = ratio(results[key]["wsfleet"], results[echo]["wsfleet"])
        yield _at_least(key, "our echo", measured, 0.8)


def _pool(results: Results) -> Iterator[Outcome]:
    sizes = [f"{POOL}: {size} clients" for size in (10, 100, 1000, 5000)]
    single = f"{POOL}: send_message, 1 client"
    if not all(key in results for key in (*sizes, single)):
        return
    taken = [median_of(results[key]["wsfleet"], "cpu_us") for key in sizes]
    yield _flat_within(f"{POOL}: CPU per send over 10-5000 clients", taken)
    worst = max(_beyond(results, key, single) for key in sizes)
    yield _at_most_extra(f"{POOL}: CPU per send beyond send_message over one client", worst)
    scattered = f"{POOL}: send_message over any of 5000"
    if scattered in results:
        extra = _beyond(results, sizes[-1], scattered)
        yield _at_most_extra(f"{POOL}: the same, over any of the same 5000 clients", extra)


def _beyond(results: Results, key: str, base: str) -> float:
    """Return how much more one workload takes than another, in microseconds."""
    pairs = zip(results[key]["wsfleet"], results[base]["wsfleet"], strict=True)
    return statistics.median(a["cpu_us"] - b["cpu_us"] for a, b in pairs)


def _at_most_extra(what: str, extra: float) -> Outcome:
    return Outcome(what, f"at most {EXTRA:.0f} us", f"{extra:.1f} us", extra <= EXTRA)


def _opening(results: Results) -> Iterator[Outcome]:
    few, many = (results.get(f"{OPENING}: {n} connections", {}) for n in (1000, 5000))
    if not few or not many:
        return
    each = [median_of(peers["wsfleet"], "cpu_us") for peers in (few, many)]
    yield _flat_within(f"{OPENING}: CPU per connection, 1000 and 5000", each)
    for peer, what, title, most in (
        ("websockets", "cpu_us", "CPU per connection", 2.0),
        ("picows", "kilobytes", "memory per idle connection", 1.0),
    ):
        measured = ratio(many["wsfleet"], many[peer], what)
        yield Outcome(
            f"{OPENING}: {title}, 5000",
            f"at most {most} x {peer}",
            as_text(measured),
            round(measured[0], 2) <= most,
        )


def _flat(results: Results) -> Iterator[Outcome]:
    for group in (LARGE, FRAGMENTED, UPLOADS):
        rows = [
            peers["wsfleet"] for key, peers in results.items() if key.startswith(f"{group}:")
        ]
        if len(rows) > 1:
            yield _flat_within(
                f"{group}: CPU per byte, 64 KiB to 64 MiB",
                [median_of(rounds, "ns_per_byte") for rounds in rows],
            )
    keeping = [peers for key, peers in results.items() if key.startswith(f"{LARGE}:")]
    if len(keeping) > 1:
        yield _flat_within(
            f"{LARGE}: the same, of what a bare protocol takes that keeps each",
            [ratio(peers["wsfleet"], peers["keep"], "ns_per_byte")[0] for peers in keeping],
        )


def _flat_within(what: str, costs: list[float]) -> Outcome:
    """Judge how far costs are apart that should be the same."""
    apart = max(costs) / min(costs)
    return Outcome(what, f"flat within {FLAT} x", f"{apart:.2f} x", round(apart, 2) <= FLAT)
