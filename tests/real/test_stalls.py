from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from wsfleet import ClientPing, PingPong, ServerBeat, connect
from wsfleet._client.stalls import stalls_of_loop
from wsfleet.errors import RequestTimeoutError
from wsfleet.testing import MockServer, MockSession

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from wsfleet import Client, Heartbeat

BACKLOG = [{"n": number, "text": "x" * 1000} for number in range(3000)]
"""Three megabytes of events."""


class Ticks(MockSession):
    """Sends a beat at once, and answers each message with another."""

    def on_open(self) -> None:
        self.connection.send({"beat": 1})

    def on_message(self, message: Any) -> Any:
        return [{"beat": 1}, {"op": "pong"}]


def confirmed(message: Any) -> Any:
    """Answer any call with the channels that it names."""
    call = json.loads(message)
    return {"id": call["id"], "result": (call["params"] or {}).get("channels")}


def behind_a_backlog(message: Any) -> Any:
    """Answer behind three megabytes of events, with a beat behind the answer."""
    return [*BACKLOG, confirmed(message), {"beat": 1}]


def warnings(entries: list[MutableMapping[str, Any]]) -> list[str]:
    """Return the names of the warnings that were logged."""
    return [entry["event"] for entry in entries if entry["log_level"] == "warning"]


def block(seconds: float) -> None:
    """Block the event loop, as a busy handler does."""
    time.sleep(seconds)


async def block_once_sent(client: Client, seconds: float) -> None:
    """Block the event loop in the very turn in which a request was sent."""
    while not client._sender.sent:
        await checkpoint()
    block(seconds)


async def test_a_blocked_event_loop_costs_no_healthy_connection(
    log_entries: list[MutableMapping[str, Any]],
) -> None:
    """
    However long user code blocks the event loop, a peer that answered meanwhile is not given
    up.
    """
    beats: list[Heartbeat] = [
        PingPong(interval=0.05, timeout=0.4),
        ClientPing(message={"op": "ping"}, answer={"op": "pong"}, interval=0.05, timeout=0.4),
        ServerBeat(expects={"beat": 1}, timeout=0.4),
    ]
    async with (
        MockServer(session=Ticks) as server,
        connect(server.url, heartbeat=beats, handler=lambda _: None) as client,
    ):
        await anyio.sleep(0.1)
        await client.send_message({"op": "ping"})
        block(0.7)
        await anyio.sleep(0.2)
        assert server.accepted == 1

    assert warnings(log_entries) == ["loop.stalled"]


async def test_answers_that_came_while_the_loop_was_blocked_are_returned() -> None:
    """
    What waits in the socket, megabytes of events before it or not, is read before a request,
    a subscribe or a heartbeat is judged.
    """
    for answers in (confirmed, behind_a_backlog):
        async with (
            MockServer(answers) as server,
            connect(
                server.url,
                handler=lambda _: None,
                request_timeout=0.3,
                heartbeat=ServerBeat(expects={"beat": 1}, timeout=0.45)
                if answers is behind_a_backlog
                else None,
            ) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(client.subscribe, "a")
            tasks.start_soon(client.request, "m", {})
            await block_once_sent(client, 0.5)
        assert server.accepted == 1


async def test_stalls_hide_no_dead_peer() -> None:
    """
    A peer that is silent is found although the loop is blocked again and again, and a request
    without an answer fails.
    """
    async with MockServer(lambda _: None) as server:
        async with connect(
            server.url,
            heartbeat=ServerBeat(expects={"beat": 1}, timeout=0.3),
            retry_delay=0.0,
            close_timeout=0.1,
            stall_after=0.1,
        ) as client:
            with anyio.fail_after(20):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(block_once_sent, client, 0.2)
                    with pytest.raises(RequestTimeoutError):
                        await client.request("m", timeout=0.1)
                while server.accepted == 1:
                    block(0.15)
                    await anyio.sleep(0.1)


async def test_a_stall_is_logged_once_and_nothing_is_watched_without_clients(
    log_entries: list[MutableMapping[str, Any]],
) -> None:
    """
    One entry tells each stall and its length, the shortest `stall_after` decides, and after
    the last client nothing looks for stalls any more.
    """
    async with MockServer() as server:
        async with (
            connect(server.url, stall_after=30.0),
            connect(server.url, stall_after=0.15),
        ):
            await anyio.sleep(0.05)
            block(0.3)
            await anyio.sleep(0.15)
        block(0.2)
        await anyio.sleep(0.15)

    stalls = [entry for entry in log_entries if entry["event"] == "loop.stalled"]
    assert len(stalls) == 1
    assert stalls[0]["seconds"] > 0.2
    assert not stalls_of_loop().watching


async def test_an_attempt_that_a_stall_made_late_uses_up_no_retry() -> None:
    """A connection that could not be opened in time because of a stall is tried again."""
    async with MockServer() as server, anyio.create_task_group() as tasks:

        async def block_soon() -> None:
            await checkpoint()
            block(0.4)

        tasks.start_soon(block_soon)
        async with connect(server.url, timeout=0.2, retry_count=0, retry_delay=0.0) as client:
            await client.send_message("x")
