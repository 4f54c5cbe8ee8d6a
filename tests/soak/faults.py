"""What goes wrong with networks and servers, one thing after the other."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio

from wsfleet.testing import FaultProxy, MockServer, json_rpc

if TYPE_CHECKING:
    import random
    import ssl
    from types import TracebackType
    from typing import Self


class Endpoint:
    """A server behind a network that can be harmed."""

    def __init__(self, *, tls: bool = False) -> None:
        self._stack = AsyncExitStack()
        self._server = MockServer(json_rpc, ssl=tls)
        self._proxy: FaultProxy

    async def __aenter__(self) -> Self:
        """Start both."""
        await self._stack.__aenter__()
        await self._stack.enter_async_context(self._server)
        self._proxy = await self._stack.enter_async_context(FaultProxy(self._server.url))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop both."""
        await self._stack.__aexit__(kind, error, traceback)

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return self._proxy.url

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """What clients trust it with, where it speaks TLS."""
        return self._server.client_ssl_context

    async def break_in(self, way: str) -> None:
        """Let one thing go wrong."""
        match way:
            case "reset":
                await self._proxy.reset()
            case "freeze":
                await self._proxy.freeze()
            case "slow":
                self._proxy.latency = 0.05
            case "cut":
                self._proxy.cut_after(1000)
            case "down":
                await self._server.stop()
            case _:
                self._server.refuse(503, times=5)

    async def heal(self) -> None:
        """Let all be well again; what is well stays as it is."""
        self._proxy.latency = 0.0
        self._server.refuse(503, times=0)
        await self._proxy.thaw()
        await self._server.start()
        self._server.clear()  # what it remembers is not the fleet's


WAYS = ("reset", "freeze", "slow", "cut", "down", "refuse")


async def harm(endpoints: list[Endpoint], end: float, rng: random.Random) -> None:
    """Harm one endpoint after the other; at least one is always well."""
    while anyio.current_time() < end:
        endpoint = rng.choice(endpoints)
        await endpoint.break_in(rng.choice(WAYS))
        await anyio.sleep(min(rng.uniform(0.2, 3.0), max(0.0, end - anyio.current_time())))
        await endpoint.heal()
        await anyio.sleep(min(rng.uniform(0.0, 1.0), max(0.0, end - anyio.current_time())))
