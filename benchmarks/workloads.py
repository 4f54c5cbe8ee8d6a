"""What is measured, and of whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PEERS: Final = ("wsfleet", "websockets", "aiohttp", "picows", "limit")
ALL: Final = (*PEERS, "httpx_ws")
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
        if self.group in SIZED:
            return self.count  # the number is what is measured
        return max(10, int(self.count * scale / SLOW.get(peer, 1)))


INBOUND: Final = "inbound messages"
TRIPS: Final = "round trips"
POOL: Final = "send_balanced"
OPENING: Final = "opening and holding"
LARGE: Final = "large messages"
FRAGMENTED: Final = "large messages in frames of 4 KiB"
UPLOADS: Final = "large sends"
STRUCT: Final = "JSON ticker to a Struct (peers: orjson to a dict)"
SIZED: Final = {OPENING, LARGE, FRAGMENTED, UPLOADS}

SIZES: Final = {"64 KiB": 2**16, "1 MiB": 2**20, "16 MiB": 2**24, "64 MiB": 2**26}
LARGE_TOTAL: Final = 2**28
"""Bytes that each row of large messages moves."""

LOOPS: Final = ("asyncio", "uvloop")
INBOUND_SIZES: Final = {
    "256 B": (256, 200_000, 150_000),
    "8 KiB": (8192, 40_000, 20_000),
    "100 KiB": (100 * 1024, 5_000, 3_000),
}
"""Bytes, and how many of them without and with TLS, for about a quarter of a second."""


def _inbound() -> list[Workload]:
    found = []
    for loop in LOOPS:
        for title, (size, plain, secure) in INBOUND_SIZES.items():
            peers = ALL if size == 256 else PEERS
            found += [
                Workload(INBOUND, f"{title}, {loop}", "flood", loop, plain, size, peers),
                Workload(
                    INBOUND, f"{title}, TLS, {loop}", "flood", loop, secure, size, tls=True
                ),
            ]
        found.append(
            Workload(INBOUND, f"JSON ticker, {loop}", "ticker", loop, 100_000, peers=DECODING)
        )
        found.append(
            Workload(INBOUND, f"{STRUCT}, {loop}", "typed", loop, 100_000, peers=DECODING[:-1])
        )
    found.append(Workload(INBOUND, "256 B, trio", "flood", "trio", 60_000, 256, ON_TRIO))
    return found


def _round_trips() -> list[Workload]:
    found = []
    for loop in LOOPS:
        found += [
            Workload(TRIPS, f"256 B, {loop}", "echo", loop, 15_000, 256, ALL),
            Workload(TRIPS, f"256 B, TLS, {loop}", "echo", loop, 10_000, 256, tls=True),
            Workload(TRIPS, f"request(), {loop}", "request", loop, 10_000, 256, OURS),
        ]
    found.append(Workload(TRIPS, "256 B, trio", "echo", "trio", 8_000, 256, ON_TRIO))
    return found


def _pool() -> list[Workload]:
    found = [Workload(POOL, "send_message, 1 client", "single", "asyncio", 10_000, peers=OURS)]
    found += [
        Workload(POOL, f"{size} clients", "balanced", "asyncio", 10_000, size, OURS)
        for size in (1, 10, 100, 1000, 5000)
    ]
    title = "send_message over any of 5000"
    found.append(Workload(POOL, title, "scattered", "asyncio", 10_000, 5000, OURS))
    return found


def _opening() -> list[Workload]:
    return [
        Workload(OPENING, f"{count} connections", "hold", "asyncio", count, peers=HOLDING)
        for count in (1000, 5000)
    ]


def _large() -> list[Workload]:
    kinds = (
        (LARGE, "flood", ("wsfleet", "websockets", "aiohttp", "limit", "keep")),
        # `websockets` refuses more than 4096 fragments.
        (FRAGMENTED, "fragments", ("wsfleet", "aiohttp")),
        (UPLOADS, "upload", ("wsfleet", "websockets", "aiohttp")),
    )
    return [
        Workload(group, title, what, "asyncio", LARGE_TOTAL // size, size, peers)
        for group, what, peers in kinds
        for title, size in SIZES.items()
    ]


WORKLOADS: Final = (*_inbound(), *_round_trips(), *_large(), *_pool(), *_opening())
