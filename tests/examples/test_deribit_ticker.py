from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import anyio

from examples.deribit_ticker import INSTRUMENT, TRADES_BETWEEN, Bot, main
from tests.examples.told import Told
from wsfleet import Gap, connect
from wsfleet.testing import MockDeribit

TICKER = f"ticker.{INSTRUMENT}.100ms"


def at(second: int) -> datetime:
    """Return a moment."""
    return datetime.fromtimestamp(second, UTC)


async def test_the_bot_survives_its_venue() -> None:
    """
    After its venue was gone the bot has its channel again, knows from when to when it saw
    nothing, and has asked the venue what happened then.
    """
    told = Told()
    asked: list[Any] = []

    def trades(params: Any) -> Any:
        asked.append(params)
        return {"trades": [{"price": 101.0}, {"price": 99.5}], "has_more": False}

    async with MockDeribit(methods={TRADES_BETWEEN: trades}) as server:

        def watched() -> bool:
            return any(TICKER in session.channels for session in server.sessions)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(main, server.url, Bot(told))
            await server.wait_until(watched, timeout=5)
            await server.publish(TICKER, {"last_price": 100.0})
            await told.until(lambda: f"{INSTRUMENT} 100.0" in told)

            await server.stop()
            await server.start()
            await server.wait_until(watched, timeout=10)
            await told.until(lambda: "filled with 2 trades, 99.5 to 101.0" in told)
            await server.publish(TICKER, {"last_price": 102.0})
            await told.until(lambda: f"{INSTRUMENT} 102.0" in told)
            tasks.cancel_scope.cancel()

    assert [line.partition(" ")[0] for line in told.lines] == [
        INSTRUMENT,
        "missed",
        "filled",
        INSTRUMENT,
    ]
    (window,) = asked
    assert window["instrument_name"] == INSTRUMENT
    assert 0 <= window["end_timestamp"] - window["start_timestamp"] < 10_000


async def test_the_bot_answers_its_venue() -> None:
    """The venue's test requests are answered, or it would hang up."""
    async with (
        MockDeribit(heartbeat_scale=0.01, heartbeat_grace=1.0) as server,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(main, server.url, Bot(Told()))
        await server.wait_until(
            lambda: sum("public/test" in str(each) for each in server.received) >= 2, timeout=5
        )
        assert server.accepted == 1
        tasks.cancel_scope.cancel()


async def test_what_could_not_be_filled_is_asked_for_again() -> None:
    """A gap that could not be filled is filled by the next connection, along with its own."""
    told = Told()
    asked: list[Any] = []

    def trades(params: Any) -> Any:
        asked.append(params)
        return {"trades": []}

    bot = Bot(told)
    async with MockDeribit(methods={TRADES_BETWEEN: trades}) as server:
        bot.take(Gap((TICKER,), at(1), at(2), "the first"))
        async with connect(server.url) as client:
            await client.close()
            await bot.fill(client)
        assert "not filled yet" in told
        bot.take(Gap((TICKER,), at(3), at(4), "the second"))
        async with connect(server.url, on_connect=bot.fill):
            await told.until(lambda: not bot.missed)

    assert [(each["start_timestamp"], each["end_timestamp"]) for each in asked] == [
        (1000, 2000),
        (3000, 4000),
    ]
