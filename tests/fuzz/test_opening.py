from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import anyio

from wsfleet.testing import RawConnection, RawServer

from .opening import OpeningCase

CASES = 200


async def test_strange_answers_end_as_connections_or_typed_errors(
    anyio_backend: tuple[str, dict[str, Any]],
) -> None:
    """
    On each event loop, whatever a server answers gives a connection or a ConnectError, leaves
    no socket open, and tells the event loop's exception handler of nothing.
    """
    told: list[Any] = []
    if anyio_backend[0] == "asyncio":
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
    case = OpeningCase.make(Random(0))

    async def answer(raw: RawConnection) -> None:
        await case.answer_to(raw, port)

    outcomes = set()
    async with RawServer(answer) as server:
        port = int(server.url.rpartition(":")[2])
        for number in range(CASES):
            case = OpeningCase.make(Random(number))
            outcomes.add(await case.attempt(port))
    await anyio.wait_all_tasks_blocked()

    assert outcomes == {"connected", "refused"}
    assert not told
