"""
From a host name to a connected socket, on asyncio and uvloop (RFC 8305: Happy Eyeballs).

asyncio has this too, but loses the socket of an attempt that is cancelled; uvloop has it not.
"""

from __future__ import annotations

import asyncio
import socket
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio

if TYPE_CHECKING:
    from collections.abc import Sequence

    Address: TypeAlias = tuple[int, int, int, Any]

ATTEMPT_DELAY: Final = 0.25
"""
Seconds after which the next address is tried beside those that have not answered (section 5).
"""


async def open_socket(host: str, port: int, local_address: str | None) -> socket.socket:
    """
    Return a connected, non-blocking socket.

    Raises:
        OSError: the name does not resolve (`socket.gaierror`), or no address answers.

    Cancelling it leaves no socket open.
    """
    found = _numeric(host, port)
    if found is None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [(*entry[:3], entry[4]) for entry in found]
    if len(addresses) == 1:
        return await _connect(addresses[0], local_address)
    race = _Race()
    try:
        await race.run(_interleaved(addresses), local_address)
    except BaseException:
        race.forget()
        raise
    return race.result()


def _numeric(host: str, port: int) -> list[tuple[Any, ...]] | None:
    """Resolve what needs no lookup, without the thread that a lookup takes."""
    try:
        return socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except socket.gaierror:
        return None


def _interleaved(addresses: Sequence[Address]) -> list[Address]:
    """Let families alternate, beginning with the system's favourite (section 4)."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [a for a in chain.from_iterable(zip_longest(first, others)) if a is not None]


class _Race:
    """Attempts at several addresses, of which the first to succeed counts."""

    def __init__(self) -> None:
        self._winner: socket.socket | None = None
        self._errors: list[OSError] = []

    async def run(self, addresses: Sequence[Address], local_address: str | None) -> None:
        async with anyio.create_task_group() as tasks:
            for address in addresses:
                failed = anyio.Event()
                tasks.start_soon(self._attempt, address, local_address, failed, tasks)
                with anyio.move_on_after(ATTEMPT_DELAY):
                    await failed.wait()

    async def _attempt(
        self,
        address: Address,
        local_address: str | None,
        failed: anyio.Event,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        try:
            connected = await _connect(address, local_address)
        except OSError as exc:
            self._errors.append(exc)
            failed.set()
            return
        self.forget()
        self._winner = connected
        tasks.cancel_scope.cancel()

    def forget(self) -> None:
        """Close what was won."""
        if self._winner is not None:
            self._winner.close()

    def result(self) -> socket.socket:
        """Return what was won, or raise what was lost."""
        if self._winner is None:
            raise self._errors[0]
        return self._winner


async def _connect(address: Address, local_address: str | None) -> socket.socket:
    family, kind, protocol, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if local_address is not None:
            sock.bind((local_address, 0))
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock
