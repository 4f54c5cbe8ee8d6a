"""
An order sender with failover that never repeats an order.

    python examples/order_sender.py [URL URL...]

The URLs lead to the same venue and account. Without them it is Deribit's test network, twice.
The API key comes from the environment: DERIBIT_CLIENT_ID and DERIBIT_CLIENT_SECRET.
"""

from __future__ import annotations

import os
import sys
import uuid
from typing import TYPE_CHECKING, Any

import anyio

from wsfleet import ChildSpec, ClientSupervisor, venues
from wsfleet.errors import JsonRpcError, SendError

if TYPE_CHECKING:
    from collections.abc import Callable

TESTNET = "wss://test.deribit.com/ws/api/v2"


async def main(*urls: str, tell: Callable[[str], object] = print) -> None:
    """Place one order, and tell what became of it."""
    # Each connection logs in before anything is routed to it, and again after a reconnect.
    venue = venues.deribit(
        client_id=os.environ["DERIBIT_CLIENT_ID"],
        client_secret=os.environ["DERIBIT_CLIENT_SECRET"],
    )
    specs = [ChildSpec(url, venue=venue, request_timeout=5.0) for url in urls or [TESTNET] * 2]
    async with ClientSupervisor(specs) as fleet:
        await place(fleet, "BTC-PERPETUAL", amount=10, price=10_000, tell=tell)


async def place(
    fleet: ClientSupervisor,
    instrument: str,
    *,
    amount: float,
    price: float,
    tell: Callable[[str], object] = print,
) -> dict[str, Any] | None:
    """Place an order once or not at all; return it as the venue has it, or None."""
    # A name of our own, so that the order can be found where its id never reached us.
    label = uuid.uuid4().hex
    order = {"instrument_name": instrument, "amount": amount, "price": price, "label": label}
    try:
        # Not `idempotent`: an order may move to another connection only while it is certain
        # that it was never sent.
        placed: dict[str, Any] = (await fleet.request_balanced("private/buy", order))["order"]
    except JsonRpcError as error:
        tell(f"refused by the venue: {error}")
        return None
    except SendError as error:
        if error.sent is False:  # nothing left this machine, so trying again is safe
            tell(f"not placed: {error}")
            return None
        tell(f"sent={error.sent}, nobody knows yet what became of {label}: {error}")
        return await find(fleet, label, tell)
    tell(f"placed: {placed['order_id']}")
    return placed


async def find(
    fleet: ClientSupervisor, label: str, tell: Callable[[str], object]
) -> dict[str, Any] | None:
    """Ask the venue until it says whether it has the order, instead of placing another."""
    orders = None
    while orders is None:
        await fleet.wait_connected()
        try:
            # Reading twice does no harm, so it may be repeated whatever happens to it.
            orders = await fleet.request_balanced("private/get_open_orders", idempotent=True)
        except SendError as error:
            tell(f"no answer yet: {error}")
            await anyio.sleep(0.2)
    found: dict[str, Any] | None = next((o for o in orders if o["label"] == label), None)
    if found is None:
        tell("not among the open orders: it was filled, or never arrived")
    else:
        tell(f"placed after all: {found['order_id']}")
    return found


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
