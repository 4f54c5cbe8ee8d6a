"""
A ticker bot that survives its venue.

    python examples/deribit_ticker.py [URL]

Without a URL it watches Deribit's test network, which needs no account. Stop it with Ctrl-C.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import anyio

from wsfleet import Gap, Message, connect, venues
from wsfleet.errors import JsonRpcError, SendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsfleet import Client, Event

TESTNET = "wss://test.deribit.com/ws/api/v2"
INSTRUMENT = "BTC-PERPETUAL"
TRADES_BETWEEN = "public/get_last_trades_by_instrument_and_time"


class Bot:
    """Tells prices, and what it missed."""

    def __init__(self, tell: Callable[[str], object] = print) -> None:
        self.tell = tell
        self.missed: list[Gap] = []

    def take(self, event: Event) -> None:
        """Take what arrives; a sync handler is called at once and in order."""
        match event:
            case Message({"params": {"data": {"last_price": price}}}):
                self.tell(f"{INSTRUMENT} {price}")
            case Gap(since=since, until=until, cause=cause):
                self.tell(f"missed all from {since:%H:%M:%S} to {until:%H:%M:%S}: {cause}")
                # A sync handler cannot ask, and the connection may still be being prepared.
                self.missed.append(event)

    async def fill(self, client: Client) -> None:
        """Ask the venue what happened meanwhile; called when a connection can be used."""
        while self.missed:
            gap = self.missed[0]
            window = {
                "instrument_name": INSTRUMENT,
                "start_timestamp": int(gap.since.timestamp() * 1000),
                "end_timestamp": int(gap.until.timestamp() * 1000),
                "count": 1000,
            }
            try:
                answer = await client.request(TRADES_BETWEEN, window)
            except SendError as error:
                # Gone again: the next connection fills this gap along with its own.
                self.tell(f"not filled yet: {error}")
                return
            except JsonRpcError as error:
                self.tell(f"the venue does not say what happened: {error}")
            else:
                prices = [trade["price"] for trade in answer["trades"]]
                extremes = f", {min(prices)} to {max(prices)}" if prices else ""
                self.tell(f"filled with {len(prices)} trades{extremes}")
            self.missed.pop(0)


async def main(url: str = TESTNET, bot: Bot | None = None) -> None:
    """Tell the price, for as long as the program runs."""
    bot = bot or Bot()
    async with connect(
        url,
        # The profile answers the venue's test requests, so that it does not hang up.
        venue=venues.deribit(heartbeat_interval=10.0),
        handler=bot.take,
        on_connect=bot.fill,
        retry_count=None,  # exchanges are down for hours, and this bot loses nothing by waiting
    ) as client:
        # Once is enough: after a reconnect the channel is restored before anything is told.
        await client.subscribe(f"ticker.{INSTRUMENT}.100ms")
        await anyio.sleep_forever()


if __name__ == "__main__":
    try:
        anyio.run(main, sys.argv[1] if len(sys.argv) > 1 else TESTNET)
    except KeyboardInterrupt:
        print("stopped")
