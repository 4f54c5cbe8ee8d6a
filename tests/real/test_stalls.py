from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wsfleet import ClientPing, PingPong, ServerBeat, connect
from wsfleet._client.stalls import stalls_of_loop
from wsfleet.errors import RequestTimeoutError
from wsfleet.testing import MockServer, MockSession, json_rpc

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from wsfleet import Client, Heartbeat

BLOCKED = 0.4
"""Seconds for which the event loop is blocked: more than each deadline of these tests has."""


class Ticks(MockSession):
    """Sends a beat at once, and answers each message with another."""

    def on_open(self) -> None:
        self.connection.send({"beat": 1})

    def on_message(self, message: Any) -> Any:
        return [{"beat": 1}, {"op": "pong"}]


BACKLOG = [{"n": number, "text": "x" * 1000} for number in range(3000)]


async def behind_a_backlog(message: Any) -> Any:
    """Answer a request behind three megabytes of events."""
    return [*BACKLOG, {"id": json.loads(message)["id"], "result": "late"}]


def warnings(entries: list[MutableMapping[str, Any]]) -> list[str]:
    """Return the names of the warnings that were logged."""
    return [entry["event"] for entry in entries if entry["log_level"] == "warning"]


async def block(client: Client) -> None:
    """Block the event loop in the middle of a heartbeat, as a busy handler does."""
    await client.send_message({"op": "ping"})
    time.sleep(BLOCKED)  # noqa: ASYNC251 - the fault
    await anyio.sleep(0.1)


async def test_a_blocked_event_loop_costs_no_healthy_connection(
    log_entries: list[MutableMapping[str, Any]],
) -> None:
    """
    However long user code blocks the event loop, a peer that answered meanwhile is not given
    up.
    """
    beats: list[Heartbeat] = [
        PingPong(interval=0.05, timeout=0.15),
        ClientPing(message={"op": "ping"}, answer={"op": "pong"}, interval=0.05, timeout=0.15),
        ServerBeat(expects={"beat": 1}, timeout=0.3),
    ]
    async with (
        MockServer(session=Ticks) as server,
        connect(server.url, heartbeat=beats, handler=lambda _: None, stall_after=0.2) as client,
    ):
        for _ in range(2):
            await block(client)
        assert server.accepted == 1

    assert warnings(log_entries) == ["loop.stalled"] * 2


async def test_a_beat_far_back_in_a_backlog_is_found_before_its_deadline_is_judged() -> None:
    """A beat that waits behind megabytes of events after a stall has come in time."""

    async def beats(_: Any) -> Any:
        return [*BACKLOG, {"beat": 1}]

    beat = ServerBeat(expects={"beat": 1}, timeout=0.2)
    async with (
        MockServer(beats) as server,
        connect(server.url, heartbeat=beat, handler=lambda _: None) as client,
    ):
        await client.send_message("go")
        time.sleep(BLOCKED)  # noqa: ASYNC251 - the fault
        await client.send_message("go")
        await anyio.sleep(0.1)
        assert server.accepted == 1


@pytest.mark.parametrize("answers", [json_rpc, behind_a_backlog])
async def test_an_answer_that_came_while_the_loop_was_blocked_is_returned(answers: Any) -> None:
    """A request whose answer waits in the socket does not fail because nobody read it."""
    async with (
        MockServer(answers) as server,
        connect(server.url, handler=lambda _: None) as client,
        anyio.create_task_group() as tasks,
    ):

        async def ask() -> None:
            await client.request("m", timeout=0.15)

        tasks.start_soon(ask)
        await server.wait_until(lambda: server.received)
        time.sleep(BLOCKED)  # noqa: ASYNC251 - the fault


async def test_a_confirmation_that_came_while_the_loop_was_blocked_counts() -> None:
    """A subscribe whose confirmation waits in the socket does not fail."""

    async def confirm(message: Any) -> Any:
        call = json.loads(message)
        return {"id": call["id"], "result": call["params"]["channels"]}

    async with (
        MockServer(confirm) as server,
        connect(server.url, request_timeout=0.15) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(client.subscribe, "a")
        await server.wait_until(lambda: server.received)
        time.sleep(BLOCKED)  # noqa: ASYNC251 - the fault


async def test_a_dead_peer_is_found_although_the_loop_is_blocked_again_and_again() -> None:
    """Stalls delay the verdict over a silent peer, but do not prevent it."""
    async with MockServer(lambda _: None) as server:
        async with connect(
            server.url,
            heartbeat=ServerBeat(expects={"beat": 1}, timeout=0.2),
            retry_delay=0.0,
            close_timeout=0.1,
        ):
            with anyio.fail_after(20):
                while server.accepted == 1:
                    time.sleep(0.2)  # noqa: ASYNC251 - the fault
                    await anyio.sleep(0.1)


async def test_an_answer_that_did_not_come_fails_after_a_stall() -> None:
    """A request that the server did not answer still ends, with the time it was given."""
    async with (
        MockServer(lambda _: None) as server,
        connect(server.url) as client,
        anyio.create_task_group() as tasks,
    ):

        async def ask() -> None:
            with pytest.raises(RequestTimeoutError), anyio.fail_after(10):
                await client.request("m", timeout=0.15)

        tasks.start_soon(ask)
        await server.wait_until(lambda: server.received)
        time.sleep(BLOCKED)  # noqa: ASYNC251 - the fault


async def test_a_stall_is_logged_once_however_many_clients_there_are(
    log_entries: list[MutableMapping[str, Any]],
) -> None:
    """One entry tells each stall and its length; the shortest `stall_after` decides."""
    async with (
        MockServer() as server,
        connect(server.url, stall_after=30.0),
        connect(server.url, stall_after=0.2) as client,
    ):
        await block(client)

    stalls = [entry for entry in log_entries if entry["event"] == "loop.stalled"]
    assert len(stalls) == 1
    assert stalls[0]["seconds"] > BLOCKED - 0.15


async def test_what_looks_for_stalls_ends_with_the_last_client(
    log_entries: list[MutableMapping[str, Any]],
) -> None:
    """A program whose clients have ended is not woken up for them any more."""
    async with MockServer() as server:
        async with connect(server.url):
            pass
        time.sleep(BLOCKED)  # noqa: ASYNC251 - nobody minds it any more
        await anyio.sleep(0.1)

    assert warnings(log_entries) == []
    assert stalls_of_loop().since(0.0, 0.0) == 0.0
