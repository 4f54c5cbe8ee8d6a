"""
Keeps a fleet busy over bad networks for as long as wanted: `nox -s soak -- --seconds 600`; or
lets it reconnect again and again: `nox -s soak -- --cycles --tls --loop uvloop`.

Fails when a request has no outcome, when the fleet is not whole again at the end, or when what
it holds has grown.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import anyio
import structlog

from tests.soak.cycles import dropping_server, soak_cycles
from tests.soak.faults import Endpoint, harm
from tests.soak.held import Held
from wsfleet import ClientSupervisor, PingPong
from wsfleet.errors import SendError

if TYPE_CHECKING:
    from wsfleet import Client

STREAMS: Final = 8
CLIENTS: Final = 4
ENDPOINTS: Final = 3
LOOPS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "asyncio": ("asyncio", {"use_uvloop": False}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}


class Tally:
    """What became of the requests."""

    def __init__(self) -> None:
        self.sent = 0
        self.outcomes: Counter[str] = Counter()

    async def ask_until(self, pool: ClientSupervisor, end: float) -> None:
        """Send one request after the other."""
        while anyio.current_time() < end:
            self.sent += 1
            number = self.sent
            try:
                answer = await pool.request_balanced("echo", [number])
                assert answer == [number], "an answer met another's request"
                self.outcomes["answered"] += 1
            except SendError as error:
                self.outcomes[f"{type(error).__name__}, sent={error.sent}"] += 1
                await anyio.sleep(0.01)  # what is not connected is not asked in a busy loop

    def show(self) -> None:
        """Print them."""
        for outcome, count in self.outcomes.most_common():
            print(f"{count:10,} {outcome}")


async def start(pool: ClientSupervisor, endpoints: list[Endpoint]) -> list[Client]:
    """Start the fleet; whatever happens, no client gives up."""
    beat = PingPong(interval=1.0, timeout=1.0)
    return [
        await pool.start_client(
            endpoint.url,
            heartbeat=beat,
            retry_count=None,
            retry_delay=0.1,
            max_backoff=1.0,
            request_timeout=2.0,
            inbox_size=16,  # full of gaps when it is first measured
            ssl_context=endpoint.ssl_context,
        )
        for endpoint in endpoints
        for _ in range(CLIENTS)
    ]


async def soak(seconds: float, rng: random.Random, tls: bool) -> int:
    """Keep a fleet busy; return the exit code."""
    tally = Tally()
    async with AsyncExitStack() as stack:
        endpoints = [
            await stack.enter_async_context(Endpoint(tls=tls)) for _ in range(ENDPOINTS)
        ]
        pool = await stack.enter_async_context(ClientSupervisor())
        clients = await start(pool, endpoints)
        with anyio.fail_after(seconds + 60):
            await run_for(min(10.0, seconds / 4), tally, pool, endpoints, rng)
            before = Held.now()
            await run_for(seconds, tally, pool, endpoints, rng)
            await pool.wait_connected(len(clients))
        after = Held.now()
        reconnects = sum(client.life.generation - 1 for client in clients)
    tally.show()
    print(f"{reconnects} reconnects; {before.compared(after)}")
    accounted = tally.sent == sum(tally.outcomes.values())
    return 0 if accounted and reconnects and not before.has_grown(after) else 1


async def run_for(
    seconds: float,
    tally: Tally,
    pool: ClientSupervisor,
    endpoints: list[Endpoint],
    rng: random.Random,
) -> None:
    """Send for so long, while the networks are harmed; heal them at the end."""
    end = anyio.current_time() + seconds
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(harm, endpoints, end, rng)
        for _ in range(STREAMS):
            tasks.start_soon(tally.ask_until, pool, end)
    for endpoint in endpoints:
        await endpoint.heal()


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--loop", choices=list(LOOPS), default="asyncio")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--cycles", action="store_true", help="reconnect again and again")
    options = parser.parse_args()
    how = " and TLS" if options.tls else ""
    print(f"seed {options.seed}, {options.loop}{how}, {options.seconds:g} seconds")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    sys.exit(run_cycles(options) if options.cycles else run(options))


def run(options: argparse.Namespace) -> int:
    """Run the fleet over bad networks."""
    backend, more = LOOPS[options.loop]
    rng = random.Random(options.seed)
    return anyio.run(
        soak, options.seconds, rng, options.tls, backend=backend, backend_options=more
    )


def run_cycles(options: argparse.Namespace) -> int:
    """Let the fleet reconnect again and again."""
    backend, more = LOOPS[options.loop]
    with dropping_server(tls=options.tls) as (url, client_options):
        arguments = (options.seconds, url, client_options)
        return anyio.run(soak_cycles, *arguments, backend=backend, backend_options=more)


if __name__ == "__main__":
    main()
