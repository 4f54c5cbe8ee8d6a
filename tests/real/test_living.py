from __future__ import annotations

import asyncio
import gc
from collections import Counter
from typing import Any

import anyio
import pytest

from wsfleet import (
    ChildSpec,
    Client,
    ClientState,
    ClientSupervisor,
    Message,
    PingPong,
    connect,
)
from wsfleet.errors import DisconnectedError, SendError
from wsfleet.testing import FaultProxy, MockServer, RawConnection, RawServer, json_rpc


class Up:
    """Counts connections gained, and lets a test wait for them."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = anyio.Event()

    def __call__(self, _: Client) -> None:
        self.count += 1
        self._changed.set()
        self._changed = anyio.Event()

    async def reach(self, count: int) -> None:
        with anyio.fail_after(10):
            while self.count < count:
                await self._changed.wait()


async def test_a_server_reset_with_a_request_in_flight() -> None:
    """
    The caller is told that the outcome is unknown; the request was made once; the client comes
    back.
    """
    up = Up()
    async with MockServer(lambda _: None) as server:
        async with (
            connect(server.url, on_connect=up, retry_delay=0.01) as client,
            anyio.create_task_group() as tasks,
        ):

            async def kill() -> None:
                await server.assert_message_sent({"method": "order"})
                await server.simulate_disconnect("reset")

            tasks.start_soon(kill)
            with pytest.raises(DisconnectedError) as caught:
                await client.request("order")
            assert caught.value.sent is None
            await up.reach(2)
        assert len(server.received) == 1


@pytest.mark.parametrize(
    ("how", "code"), [("normal", 1000), ("going_away", 1001), (1008, 1008), (4000, 4000)]
)
async def test_a_servers_goodbye_is_answered_and_followed(how: Any, code: int) -> None:
    """
    Whatever the code of a server's goodbye, its caller learns it, and the client comes back.
    """
    up = Up()
    async with (
        MockServer(lambda _: None) as server,
        connect(server.url, on_connect=up, retry_delay=0.01) as client,
        anyio.create_task_group() as tasks,
    ):

        async def close() -> None:
            await server.assert_message_sent({"method": "m"})
            await server.simulate_disconnect(how)

        tasks.start_soon(close)
        with pytest.raises(DisconnectedError) as caught:
            await client.request("m")
        assert caught.value.code == code
        await up.reach(2)


async def test_a_half_open_peer_is_found_and_replaced() -> None:
    """A peer that vanished without a word is found by the heartbeat, and replaced."""
    up = Up()
    async with MockServer(json_rpc) as server, FaultProxy(server.url) as proxy:
        beat = PingPong(interval=0.1, timeout=0.2)
        async with connect(
            proxy.url,
            heartbeat=beat,
            on_connect=up,
            retry_delay=0.01,
            close_timeout=0.1,
            timeout=0.5,
            retry_count=None,
        ) as client:
            await proxy.freeze()
            with pytest.raises(DisconnectedError, match="silent"):
                await client.request("m", timeout=5.0)
            await proxy.thaw()
            await up.reach(2)
            assert await client.request("m", [1], timeout=5.0) == [1]


async def test_a_slow_consumer_keeps_its_healthy_connection() -> None:
    """
    A loop that stops for longer than the heartbeat's timeout loses neither connection nor
    message.
    """
    beat = PingPong(interval=0.2, timeout=1.0)
    total = 20_000

    def flood(_: Any) -> Any:
        return [f"{n:0200}" for n in range(total)]

    with anyio.fail_after(50):
        async with (
            MockServer(flood) as server,
            connect(server.url, heartbeat=beat, inbox_size=16, decode="raw") as client,
        ):
            loop = aiter(client)
            await client.send_message("go")
            first = await anext(loop)
            await anyio.sleep(2.0)
            metrics = client.get_state_metrics()
            assert metrics is not None
            assert metrics.reading_paused
            assert metrics.inbox < total / 2
            got = [first, *[await anext(loop) for _ in range(total - 1)]]
            assert [int(event.data) for event in got] == list(range(total))
            assert client.life.generation == 1


async def test_nobody_listens_to_a_flood() -> None:
    """A client that is only sent through answers its requests through any flood."""
    async with MockServer(json_rpc) as server:
        async with connect(server.url, inbox_size=8) as client:
            for _ in range(20):
                for _ in range(50):
                    await server.inject_message("noise" * 50)
                assert await client.request("m", [1]) == [1]
            metrics = client.get_state_metrics()
            assert metrics is not None
            assert metrics.dropped >= 900


async def test_a_cancelled_send_leaves_whole_frames() -> None:
    """
    Sends cancelled because the peer does not read leave no half frame: what arrives later is
    whole.
    """
    received: list[bytes] = []
    read_on = asyncio.Event()

    async def slow(raw: RawConnection) -> None:
        await raw.accept()
        await read_on.wait()
        while True:
            head = await raw.read(2)
            size = head[1] & 0x7F
            if size == 127:
                size = int.from_bytes(await raw.read(8))
            elif size == 126:
                size = int.from_bytes(await raw.read(2))
            await raw.read(4)
            await raw.read(size)
            received.append(head[:1] + size.to_bytes(8))
            if head[0] == 0x88:
                return

    async with RawServer(slow) as server:
        async with connect(
            server.url, compression=None, heartbeat=None, close_timeout=5.0
        ) as client:
            sent = 0
            with anyio.move_on_after(0.5):
                while True:
                    await client.send_message(b"x" * 300_000)
                    sent += 1
            with pytest.raises(anyio.WouldBlock):
                client.send_nowait(b"y")
            server._loop._loop.call_soon_threadsafe(read_on.set)
            with anyio.fail_after(10):
                await client.send_message("clean")
    sizes = [int.from_bytes(entry[1:]) for entry in received]
    assert sizes == [300_000] * sent + [5, 2]


async def test_the_order_of_messages_is_kept() -> None:
    """What one task sends arrives in that order, text, binary and large messages alike."""
    async with MockServer(lambda _: None) as server:
        async with connect(server.url) as client:
            sent = [f"{n}" * (1 if n % 7 else 50_000) for n in range(200)]
            for text in sent:
                await client.send_message(text)
            await server.assert_message_sent("199")
        assert server.received == sent


async def test_a_large_message_comes_back() -> None:
    """Megabytes go and come in one message."""
    async with MockServer() as server, connect(server.url, decode="raw") as client:
        for size in (100_000, 1_000_000):
            text = "0123456789" * (size // 10)
            await client.send_message(text)
            with anyio.fail_after(10):
                async for event in client:
                    assert event == Message(text)
                    break


async def test_a_thousand_clients_leave_nothing_behind() -> None:
    """
    A thousand clients started and stopped leave no task, no socket and no object of ours.
    """

    def alive() -> Counter[str]:
        gc.collect()
        kinds = Counter(type(o) for o in gc.get_objects())
        ours = {k: n for k, n in kinds.items() if str(k.__module__).startswith("wsfleet._")}
        return Counter({kind.__name__: number for kind, number in ours.items()})

    async with MockServer(json_rpc) as server, connect(server.url):
        pass  # what is made once for all clients is there
    before, tasks = alive(), set(anyio.get_running_tasks())
    async with MockServer(json_rpc) as server:
        specs = [ChildSpec(server.url, timeout=30.0, retry_count=None) for _ in range(1000)]
        async with ClientSupervisor(specs) as pool:
            with anyio.fail_after(40):
                await pool.wait_connected(1000)
            assert server.connections == 1000
            for _ in range(50):
                assert await pool.request_balanced("m", [1]) == [1]
        await server.wait_for_connections(0, timeout=10.0)  # its own side takes a moment
    del pool, specs
    assert alive() == before
    assert set(anyio.get_running_tasks()) == tasks


async def test_a_fleet_loses_a_server_and_no_request() -> None:
    """
    While servers die and come back every request is answered or reported, and none is made
    twice.
    """
    outcomes: Counter[str] = Counter()

    async def work(pool: ClientSupervisor, stop: anyio.Event, worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            message = {"id": f"{worker}-{number}", "method": "m"}
            try:
                await pool.send_balanced(message)
            except SendError as exc:
                outcomes["unsent" if exc.sent is False else "unknown"] += 1
            else:
                outcomes["answered"] += 1
            outcomes["made"] += 1
            await anyio.sleep(0.001)

    async with MockServer(json_rpc) as one, MockServer(json_rpc) as two:
        options: Any = {"retry_count": None, "retry_delay": 0.05, "max_backoff": 0.1}
        specs = [ChildSpec(url, **options) for url in (one.url, two.url) * 2]
        async with ClientSupervisor(specs) as pool:
            stop = anyio.Event()
            async with anyio.create_task_group() as tasks:
                for worker in range(6):
                    tasks.start_soon(work, pool, stop, worker)
                for victim in (one, two):
                    await anyio.sleep(0.2)
                    await victim.stop()
                    await anyio.sleep(0.2)
                    await victim.start()
                    with anyio.fail_after(10):
                        await pool.wait_connected(4)
                stop.set()
            assert [row.state for row in pool.pool_health()] == ["connected"] * 4
        seen = Counter(str(message) for message in one.received + two.received)

    assert outcomes["made"] == sum(outcomes[kind] for kind in ("answered", "unknown", "unsent"))
    assert outcomes["answered"] > 100
    assert set(seen.values()) == {1}


async def test_a_client_without_room_is_passed_by() -> None:
    """
    A client whose peer does not read gets no request while another has room: the caller sees
    the answer at once.
    """
    async with (
        MockServer(lambda _: None) as stuck,
        FaultProxy(stuck.url) as proxy,
        MockServer(json_rpc) as good,
        ClientSupervisor(
            [
                ChildSpec(url, compression=None, heartbeat=None, close_timeout=0.2)
                for url in (proxy.url, good.url)
            ]
        ) as pool,
    ):
        first, second = pool.list_clients()
        await proxy.freeze()
        with anyio.move_on_after(0.5):
            while True:
                await first.send_message(b"x" * 300_000)
        await pool.send_balanced("mine", client_discovery=lambda: [second])  # first is next

        with anyio.fail_after(10):
            assert await pool.request_balanced("m", [1]) == [1]
        requests = [text for text in (*stuck.received, *good.received) if "method" in str(text)]
        assert len(requests) == 1


async def test_a_crash_is_seen_by_the_server_and_restarted() -> None:
    """
    A handler's bug closes the connection with 1011; the supervisor starts the client again.
    """
    up = Up()

    def handler(event: Any) -> None:
        if event == Message("boom"):
            raise LookupError

    async with MockServer(lambda _: "boom") as server, ClientSupervisor() as pool:
        client = await pool.start_client(server.url, handler=handler, on_connect=up)
        await client.send_message("go")
        await up.reach(2)
        assert client.get_state() is ClientState.CONNECTED
        assert pool.pool_health()[0].restarts == 1
