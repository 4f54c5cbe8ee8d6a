from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wsfleet import Client, ClientState, connect
from wsfleet.errors import (
    ConnectRefusedError,
    DisconnectedError,
    HandshakeRejectedError,
    NotConnectedError,
)

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.unit.fakes import FakeNetwork

URL = "ws://fake/"
REFUSED = ConnectRefusedError(URL, "nobody listens")


async def test_close_is_idempotent_and_final(network: FakeNetwork) -> None:
    """Closing twice is closing once; nothing can be sent after it."""
    async with connect(URL, opener=network) as client:
        await client.close()
        await client.close()
        assert client.get_state() is ClientState.DISCONNECTED
        with pytest.raises(NotConnectedError) as caught:
            await client.send_message("late")

    assert caught.value.sent is False
    assert caught.value.state == "closed"
    assert network.server().link.goodbye == (1000, "")


async def test_close_is_bounded_when_the_peer_is_silent(network: FakeNetwork) -> None:
    """A peer that never says goodbye delays the close by close_timeout, not more."""
    async with connect(URL, opener=network, close_timeout=2.0) as client:
        network.server().silent = True
        before = anyio.current_time()
        await client.close()
        assert anyio.current_time() - before == pytest.approx(2.0)
        assert network.server().open == []


async def test_close_during_connecting(network: FakeNetwork) -> None:
    """Closing a client that is connecting ends the attempt at once."""
    network.server().hang = True
    client = Client(URL, opener=network)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.run)
        await anyio.sleep(1)
        assert client.get_state() is ClientState.CONNECTING
        before = anyio.current_time()
        await client.close()
        assert anyio.current_time() == before
    assert client.get_state() is ClientState.DISCONNECTED


async def test_close_in_the_moment_in_which_it_opens(network: FakeNetwork) -> None:
    """A client that is closed just as its connection opens says goodbye at once."""

    async def opener(*to: Any) -> Any:
        connection = await network(*to)
        client.life.ask_to_stop()
        return connection

    client = Client(URL, opener=opener)
    before = anyio.current_time()
    await client.run()

    assert anyio.current_time() == before
    assert network.server().link.goodbye == (1000, "")
    assert network.server().open == []


async def test_close_during_a_wait(network: FakeNetwork) -> None:
    """Closing a client that waits for its next try ends the wait at once."""
    server = network.server()
    async with connect(URL, opener=network) as client:
        server.refuse(HandshakeRejectedError(URL, "busy", 503, 1000.0))
        server.link.drop()
        await anyio.sleep(5)
        before = anyio.current_time()
        await client.close()
        assert anyio.current_time() == before


async def test_closing_a_client_that_never_ran(network: FakeNetwork) -> None:
    """A client that never ran can be closed, and run later all the same."""
    client = Client(URL, opener=network)
    await client.close()
    assert client.get_state_metrics() is None
    async with anyio.create_task_group() as tasks:
        await tasks.start(client.run)
        assert client.get_state() is ClientState.CONNECTED
        await client.close()


async def test_a_client_runs_again_after_its_end(network: FakeNetwork) -> None:
    """The same client object can live again."""
    client = Client(URL, opener=network)
    for _ in range(2):
        async with anyio.create_task_group() as tasks:
            assert await tasks.start(client.run) is client
            await client.close()

    assert len(network.server().links) == 2


async def test_two_tasks_cannot_run_one_client(network: FakeNetwork) -> None:
    """A second run of a running client is refused."""
    async with connect(URL, opener=network) as client:
        with pytest.raises(RuntimeError, match="running already"):
            await client.run()


async def test_a_cancelled_block_says_goodbye(network: FakeNetwork) -> None:
    """A block that is cancelled closes its client politely, within the close's deadline."""
    with anyio.move_on_after(1):
        async with connect(URL, opener=network):
            await anyio.sleep_forever()

    assert network.server().link.goodbye == (1000, "")
    assert network.server().open == []


async def test_a_cancelled_run_frees_its_socket(network: FakeNetwork) -> None:
    """A client whose task is cancelled says that it goes away, and waits for nobody."""
    network.server().silent = True
    client = Client(URL, opener=network)
    async with anyio.create_task_group() as tasks:
        await tasks.start(client.run)
        before = anyio.current_time()
        tasks.cancel_scope.cancel()

    assert anyio.current_time() == before
    assert network.server().link.goodbye == (1001, "")
    assert network.server().open == []


async def test_the_whole_life_is_logged(
    network: FakeNetwork, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """
    Each step of a life is one event, in order, with the client, its URL and its generation.
    """
    server = network.server("ws://user:secret@fake/path?token=secret")
    url = "ws://user:secret@fake/path?token=secret"
    with pytest.raises(DisconnectedError):
        async with connect(url, name="c", opener=network, retry_count=1):
            server.link.drop()
            await anyio.sleep(2)
            server.die()
            await anyio.sleep_forever()

    assert [(e["event"], e["generation"], e["log_level"]) for e in log_entries] == [
        ("client.connecting", 0, "info"),
        ("client.connected", 1, "info"),
        ("client.disconnected", 1, "warning"),
        ("client.reconnect_scheduled", 1, "warning"),
        ("client.connecting", 1, "info"),
        ("client.connected", 2, "info"),
        ("client.disconnected", 2, "warning"),
        ("client.failed", 2, "error"),
    ]
    assert {e["client"] for e in log_entries} == {"c"}
    assert {e["url"] for e in log_entries} == {"ws://***@fake/path?token=***"}
    assert "secret" not in repr(log_entries)


@pytest.mark.parametrize("calls_close", [True, False])
async def test_a_handler_that_hangs_after_the_end_has_a_deadline(
    network: FakeNetwork, calls_close: bool
) -> None:
    """
    A client that ended by itself lets its handler take what has arrived; once it is closed, the
    handler has `close_timeout` left, also where it is the handler that waits for the close.
    """

    async def handler(_: object) -> None:
        await anyio.sleep(0.5)
        await (client.close() if calls_close else anyio.sleep_forever())

    client = Client(
        URL, opener=network, handler=handler, reconnect_on_error=False, close_timeout=2.0
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(client.run)
        network.server().link.send("event")
        network.server().link.close()
        await anyio.sleep(1.0)
        before = anyio.current_time()
        await client.close()
        assert anyio.current_time() <= before + 5.0
