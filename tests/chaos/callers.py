"""
The callers of a run: every way to send a request, and what each call came to.

Rule: how request n is sent depends on the seed and n alone.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import anyio

from wsfleet.errors import (
    JsonRpcError,
    NotConnectedError,
    RequestTimeoutError,
    SendError,
    WsfleetError,
)

from .accounting import Ending, Outcome
from .messages import is_answer, params_of

if TYPE_CHECKING:
    from wsfleet import Client, ClientSupervisor

REQUEST_TIMEOUT: Final = 0.5
ATTEMPTS: Final = 3
HANGS: Final = 5.0
"""Seconds after a call's deadline at which it is given up, and reported."""

WAYS: Final = (
    "request",
    "request_when_connected",
    "send_message",
    "send_text",
    "notify",
    "notify_nowait",
    "request_balanced",
    "request_balanced_idempotent",
    "send_balanced",
    "notify_balanced",
)


@dataclass(frozen=True, slots=True)
class Call:
    """
    How one request is sent.

    Attributes:
        number: of the request.
        way: one of `WAYS`.
        timeout: for `request`, in seconds.
        cancel_after: seconds after which its caller loses interest, or None.
        pause: seconds that its caller waits afterwards.
        draw: chooses the client.
    """

    number: int
    way: str
    timeout: float
    cancel_after: float | None
    pause: float
    draw: float

    @property
    def limit(self) -> float:
        """Seconds in which it must end."""
        limit = REQUEST_TIMEOUT * (ATTEMPTS if "balanced" in self.way else 1)
        if self.way.startswith("request") and "balanced" not in self.way:
            limit = self.timeout
        return limit if self.cancel_after is None else min(limit, self.cancel_after)


def call_of(seed: int, number: int) -> Call:
    """Return how request `number` is sent in the run of a seed."""
    rng = random.Random(f"{seed}/call/{number}")
    return Call(
        number=number,
        way=rng.choice(WAYS),
        timeout=rng.choice((0.1, 0.3, REQUEST_TIMEOUT)),
        cancel_after=rng.uniform(0.0, 0.1) if rng.random() < 0.15 else None,
        pause=rng.uniform(0.0, 0.12),
        draw=rng.random(),
    )


async def carry_out(pool: ClientSupervisor, call: Call) -> Outcome:
    """Send one request, and return what it came to."""
    client = None if "balanced" in call.way else _drawn(pool, call.draw)
    if call.way == "request_when_connected":
        await _wait_connected(client)
    began = time.monotonic()
    outcome = Outcome(
        number=call.number,
        way=call.way,
        client=None if client is None else client.name,
        ending=Ending.HUNG,
        began=began,
        ended=began,
        limit=call.limit,
        idempotent="idempotent" in call.way,
    )
    with (
        anyio.move_on_after(call.limit + HANGS) as patience,
        anyio.move_on_after(call.cancel_after) as interest,
    ):
        outcome = await _ended(pool, client, call, outcome)
    if interest.cancelled_caught and not patience.cancelled_caught:
        outcome = replace(outcome, ending=Ending.CANCELLED)
    return replace(outcome, ended=time.monotonic())


def _drawn(pool: ClientSupervisor, draw: float) -> Client | None:
    clients = pool.list_clients()
    return clients[int(draw * len(clients))] if clients else None


async def _wait_connected(client: Client | None) -> None:
    with anyio.move_on_after(2 * REQUEST_TIMEOUT):
        try:
            if client is not None:
                await client.wait_connected()
        except WsfleetError:
            return  # it was stopped; so says the request


async def _ended(
    pool: ClientSupervisor, client: Client | None, call: Call, outcome: Outcome
) -> Outcome:
    try:
        return replace(outcome, ending=await _send(pool, client, call))
    except SendError as error:
        return replace(
            outcome,
            ending={False: Ending.NOT_SENT, None: Ending.UNKNOWN}.get(
                error.sent, Ending.RAISED
            ),
            client=getattr(error, "client", outcome.client),
            timed_out=isinstance(error, RequestTimeoutError) and error.sent is None,
            detail=repr(error),
        )
    except anyio.WouldBlock:
        return replace(outcome, ending=Ending.NOT_SENT, detail="no room")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
        return replace(outcome, ending=Ending.RAISED, detail=repr(error))


async def _send(pool: ClientSupervisor, client: Client | None, call: Call) -> Ending:
    params = params_of(call.number)
    message = {
        "jsonrpc": "2.0",
        "id": f"chaos-{call.number}",
        "method": "ask",
        "params": params,
    }
    if call.way.startswith("notify"):
        del message["id"]
    if "balanced" in call.way:
        return await _send_balanced(pool, call, message)
    if client is None:
        raise NotConnectedError("nobody", "closed")
    return await _send_over(client, call, message)


async def _send_balanced(pool: ClientSupervisor, call: Call, message: Any) -> Ending:
    if call.way == "send_balanced":
        return judged(call.number, await pool.send_balanced(message))
    if call.way == "notify_balanced":
        return _handed(await pool.send_balanced(message))
    idempotent = "idempotent" in call.way
    request = pool.request_balanced("ask", message["params"], idempotent=idempotent)
    return await _result(call.number, request)


async def _send_over(client: Client, call: Call, message: Any) -> Ending:
    match call.way:
        case "send_message":
            return judged(call.number, await client.send_message(message))
        case "send_text":
            return judged(call.number, await client.send_message(json.dumps(message)))
        case "notify":
            return _handed(await client.send_message(message))
        case "notify_nowait":
            client.send_nowait(message)
            return Ending.HANDED_OVER
    request = client.request("ask", message["params"], timeout=call.timeout)
    return await _result(call.number, request)


async def _result(number: int, request: Any) -> Ending:
    try:
        response: dict[str, Any] = {"result": await request}
    except JsonRpcError as error:
        response = {"error": {"code": error.code, "message": error.message}}
    return judged(number, response)


def judged(number: int, response: object) -> Ending:
    """Return what a response means for the request that it was given for."""
    return Ending.ANSWERED if is_answer(number, response) else Ending.WRONG


def _handed(result: object) -> Ending:
    return Ending.HANDED_OVER if result is None else Ending.WRONG
