from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wsfleet import Client, ClientSupervisor, Message, connect
from wsfleet.errors import NotConnectedError, SendError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.unit.fakes import FakeNetwork
    from tests.unit.venue import FakeVenue

URL = "ws://fake/"

CALLS: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "send_message": lambda client: client.send_message("note"),
    "request": lambda client: client.request("ping"),
    "subscribe": lambda client: client.subscribe("trades"),
    "unsubscribe": lambda client: client.unsubscribe("trades"),
    "wait_connected": lambda client: client.wait_connected(),
    "reconnect": lambda client: client.reconnect(),
}
"""What the page "What is safe to do from a handler" says may be awaited anywhere."""


@pytest.mark.parametrize("call", CALLS)
async def test_an_async_handler_may_await_its_client(
    network: FakeNetwork, venue: FakeVenue, call: str
) -> None:
    """An async handler awaits any method of its own client, and gets the next event after."""
    handled = {1: anyio.Event(), 2: anyio.Event()}

    async def handler(event: Any) -> None:
        if isinstance(event, Message):
            if event.data == 1:
                await CALLS[call](client)
            handled[event.data].set()

    async with connect(URL, opener=network, handler=handler, inbox_size=1) as client:
        network.server().link.send(1)
        with anyio.fail_after(10):
            await handled[1].wait()
            await client.wait_connected()
            network.server().link.send(2)
            await handled[2].wait()


@pytest.mark.parametrize("call", CALLS)
async def test_an_async_callback_may_await_its_client(
    network: FakeNetwork, venue: FakeVenue, call: str
) -> None:
    """on_connect awaits any method of its own client, subscribing and reconnecting included."""
    done = anyio.Event()

    async def on_connect(client: Client) -> None:
        if not done.is_set():
            await CALLS[call](client)
            done.set()

    async with connect(URL, opener=network, on_connect=on_connect) as client:
        with anyio.fail_after(10):
            await done.wait()
            await client.wait_connected()
        assert client.get_state() == "connected"


@pytest.mark.parametrize("where", ["handler", "on_connect"])
async def test_a_client_may_be_closed_from_its_own_code(
    network: FakeNetwork, where: str
) -> None:
    """A handler or a callback that closes its client is cancelled there; the client ends."""
    after: list[str] = []

    async def close(event_or_client: Any) -> None:
        await client.close()
        after.append("not reached")

    options: Any = {where: close}
    client = Client(URL, opener=network, **options)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await tasks.start(client.run)
            if where == "handler":
                network.server().link.send(1)
    assert client.get_state() == "disconnected"
    assert after == []


async def test_a_request_that_the_end_of_the_client_cuts_is_no_crash(
    network: FakeNetwork,
) -> None:
    """Leaving the block while an async handler makes requests raises nothing."""
    network.server().silent = True  # closing takes its time
    asked = anyio.Event()

    async def handler(event: Any) -> None:
        asked.set()
        await anyio.sleep(1)
        with pytest.raises(NotConnectedError):
            await client.request("m")
        refused.append(event)
        await client.request("m")

    refused = list[Any]()
    async with connect(URL, opener=network, handler=handler) as client:
        network.server().link.send(1)
        await asked.wait()
    assert client.get_state() == "disconnected"
    assert refused == [Message(1)]


async def test_a_request_that_a_loss_cuts_is_a_crash_of_the_handler(
    network: FakeNetwork,
) -> None:
    """A handler that lets the error of a lost connection out has a defect, which is told."""

    async def handler(event: Any) -> None:
        if isinstance(event, Message):
            network.server().link.drop()
            await client.request("m")

    with pytest.raises(SendError):
        async with connect(URL, opener=network, handler=handler) as client:
            network.server().link.send(1)
            await anyio.sleep(10)


async def test_a_sync_handler_answers_with_send_nowait(network: FakeNetwork) -> None:
    """A plain function that is called with each event sends without waiting."""

    def handler(event: Any) -> None:
        if isinstance(event, Message):
            client.send_nowait(f"got {event.data}")

    async with connect(URL, opener=network, handler=handler) as client:
        network.server().link.send(1)
        assert network.server().link.texts == ["got 1"]


async def test_a_handler_may_call_its_pool(network: FakeNetwork) -> None:
    """An async handler starts and stops clients of its pool, its own one too, and sends."""
    server = network.server()
    server.answer = lambda request: request["method"]
    steps: list[Any] = []

    async def handler(event: Any) -> None:
        if isinstance(event, Message):
            steps.append(await pool.request_balanced("ping"))
            steps.append(await pool.start_client(URL, name="second"))
            await pool.wait_connected(2)
            await pool.stop_client(first)
            steps.append("not reached")

    stopped = anyio.Event()
    async with ClientSupervisor(opener=network) as pool:
        first = await pool.start_client(
            URL, handler=handler, on_disconnect=lambda client: stopped.set()
        )
        server.links[0].send(1)
        with anyio.fail_after(10):
            await stopped.wait()
            await pool.stop_client(first)
        (second,) = pool.list_clients()
        assert steps == ["ping", second]
