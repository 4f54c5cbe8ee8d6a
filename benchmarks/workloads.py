"""What is measured, and of whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PEERS: Final = ("wsfleet", "websockets", "aiohttp", "picows", "httpx_ws", "limit")
DECODING: Final = ("wsfleet", "websockets", "aiohttp", "picows", "limit")
HOLDING: Final = ("wsfleet", "websockets", "aiohttp", "picows")
ON_TRIO: Final = ("wsfleet", "websockets", "httpx_ws")
OURS: Final = ("wsfleet",)

SLOW: Final = {"httpx_ws": 10}
"""By how much fewer messages a library gets, so that a round does not wait for it."""


@dataclass(frozen=True)
class Workload:
    """
    One row of a table.

    Attributes:
        group: the table.
        title: the row.
        what: the function of the peers.
        loop: "asyncio", "uvloop" or "trio".
        count: messages or connections, for about a second.
        size: bytes of a message; clients of a pool.
        peers: who can do it.
        tls: whether the server speaks TLS.
    """

    group: str
    title: str
    what: str
    loop: str
    count: int
    size: int = 0
    peers: tuple[str, ...] = PEERS
    tls: bool = False

    @property
    def key(self) -> str:
        """Its name in the results."""
        return f"{self.group}: {self.title}"

    def count_for(self, peer: str, scale: float) -> int:
        """Return how many messages a peer gets."""
        if self.group in {LARGE, OPENING}:
            return self.count  # the number is what is measured
        return max(10, int(self.count * scale / SLOW.get(peer, 1)))


INBOUND: Final = "inbound messages"
TRIPS: Final = "round trips"
POOL: Final = "send_balanced"
OPENING: Final = "opening and holding"
LARGE: Final = "large messages"

LARGE_PEERS: Final = ("wsfleet", "websockets", "aiohttp", "limit")
LARGE_SIZES: Final = {"64 KiB": 4096, "1 MiB": 256, "16 MiB": 16, "64 MiB": 4}
"""How many of them; each row moves 256 MiB."""


def _inbound() -> list[Workload]:
    found = []
    for loop in ("asyncio", "uvloop"):
        for size, count, title in ((256, 200_000, "256 B"), (8192, 40_000, "8 KiB")):
            found.append(Workload(INBOUND, f"{title}, {loop}", "flood", loop, count, size))
        found += [
            Workload(INBOUND, f"100 KiB, {loop}", "flood", loop, 4_000, 100 * 1024),
            Workload(INBOUND, f"256 B, TLS, {loop}", "flood", loop, 100_000, 256, tls=True),
            Workload(INBOUND, f"JSON ticker, {loop}", "ticker", loop, 100_000, peers=DECODING),
        ]
    found.append(Workload(INBOUND, "256 B, trio", "flood", "trio", 50_000, 256, ON_TRIO))
    return found


def _round_trips() -> list[Workload]:
    found = []
    for loop in ("asyncio", "uvloop"):
        found += [
            Workload(TRIPS, f"256 B, {loop}", "echo", loop, 10_000, 256),
            Workload(TRIPS, f"256 B, TLS, {loop}", "echo", loop, 10_000, 256, tls=True),
            Workload(TRIPS, f"request(), {loop}", "request", loop, 10_000, 256, OURS),
        ]
    found.append(Workload(TRIPS, "256 B, trio", "echo", "trio", 4_000, 256, ON_TRIO))
    return found


def _pool() -> list[Workload]:
    found = [Workload(POOL, "send_message, 1 client", "single", "asyncio", 10_000, peers=OURS)]
    found += [
        Workload(POOL, f"{size} clients", "balanced", "asyncio", 10_000, size, OURS)
        for size in (1, 10, 100, 1000, 5000)
    ]
    return found


def _opening() -> list[Workload]:
    return [
        Workload(OPENING, f"{count} connections", "hold", "asyncio", count, peers=HOLDING)
        for count in (1000, 5000)
    ]


def _large() -> list[Workload]:
    return [
        Workload(LARGE, title, "flood", "asyncio", count, 2**28 // count, LARGE_PEERS)
        for title, count in LARGE_SIZES.items()
    ]


WORKLOADS: Final = (*_inbound(), *_round_trips(), *_large(), *_pool(), *_opening())
