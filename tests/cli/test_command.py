from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wsfleet.testing import MockServer, json_rpc

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

WSFLEET = (sys.executable, "-m", "wsfleet")


@pytest.fixture
def anyio_backend() -> str:
    """The command is a process of its own; one loop suffices to watch it."""
    return "asyncio"


async def run(arguments: Sequence[str], stdin: str = "") -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end."""
    with anyio.fail_after(40):
        return await anyio.run_process(
            [*WSFLEET, *arguments], input=stdin.encode(), check=False
        )


async def test_lines_are_sent_and_responses_printed() -> None:
    """
    Requests on stdin get their responses on stdout, events go to stderr, and all went well:
    exit 0.
    """
    lines = [json.dumps({"id": n, "params": [n]}) for n in range(20)]
    async with MockServer(json_rpc) as server:
        done = await run(
            ["connect", server.url, "--clients", "3"], "\n".join([*lines, "plain"])
        )
        assert server.accepted == 3

    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(a["result"][0] for a in answers) == list(range(20))
    assert b"client.connected" in done.stderr
    assert done.returncode == 0


async def test_events_can_be_json() -> None:
    """With --log-format json each line on stderr is one event that a program can read."""
    async with MockServer(json_rpc) as server:
        url = server.url.replace("ws://", "ws://user:s3cret@") + "/?key=s3cret"
        done = await run(["connect", url, "--log-format", "json", "--header", "X-A: s3cret"])

    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert events[0]["event"] == "supervisor.started"
    assert events[-1]["event"] == "supervisor.stopped"
    assert b"s3cret" not in done.stderr + done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["http://x"],
        ["nonsense"],
        ["ws://x", "--header", "nocolon"],
        ["ws://x", "--timeout", "0"],
    ],
)
async def test_bad_usage_is_one_clear_line(arguments: list[str]) -> None:
    """A bad URL or option is told in one line: exit 2."""
    done = await run(["connect", *arguments])

    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"wsfleet: ")
    assert (done.stdout, done.returncode) == (b"", 2)


async def test_nothing_reachable_is_told() -> None:
    """Without a reachable endpoint the events show why, one line says it: exit 1."""
    done = await run(["connect", "ws://127.0.0.1:1/", "--wait", "0.5"], "line\n")

    assert b"client.reconnect_scheduled" in done.stderr
    assert b"wsfleet: none of 1 clients could connect\n" in done.stderr
    assert done.returncode == 1


async def test_a_refusal_that_cannot_heal_is_told_at_once() -> None:
    """When every endpoint refuses for good nobody waits: exit 1."""
    async with MockServer() as server:
        server.refuse(status=401, times=100)
        with anyio.fail_after(8):
            done = await run(["connect", server.url, "--wait", "30"])

    assert b"401" in done.stderr
    assert done.returncode == 1


async def test_a_message_that_failed_is_one_line() -> None:
    """A request without an answer is one line that says whether it was sent: exit 3."""
    async with MockServer(lambda _: None) as server:
        done = await run(
            ["connect", server.url, "--request-timeout", "0.3"], '{"id": 1, "method": "m"}\n'
        )

    assert b"wsfleet: line 1: outcome unknown: no response to request 1" in done.stderr
    assert done.returncode == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_listening_stays_until_a_signal(number: signal.Signals) -> None:
    """With --listen what arrives is printed until Ctrl-C, which closes politely: exit 0."""
    async with MockServer(lambda _: None) as server:
        process: Any
        async with await anyio.open_process(
            [*WSFLEET, "connect", server.url, "--listen"]
        ) as process:
            with anyio.fail_after(30):
                await process.stdin.aclose()
                await server.wait_for_connections(1, timeout=20)
                await server.inject_message('{"tick": 1}')
                await server.inject_message("two\nlines")
                await server.inject_message(b"\x00\x01")
                got = b""
                while got.count(b"\n") < 3:
                    got += await process.stdout.receive()
                os.kill(process.pid, number)
                assert await process.wait() == 0
    assert got == b'{"tick":1}\n"two\\nlines"\nAAE=\n'


async def test_the_demo_adds_up() -> None:
    """
    The demonstration loses a server, answers or reports every request, and its numbers add up:
    exit 0.
    """
    with anyio.fail_after(30):
        done = await run(["demo"])

    text = done.stdout.decode()
    assert done.returncode == 0, text
    for word in ("requests", "answered", "failed over", "unknown", "reconnects", "p50", "p99"):
        assert word in text
    assert "the numbers add up" in text
    assert b"client.disconnected" in done.stderr


async def test_help_and_version() -> None:
    """The command says what it can do, and which version it is."""
    assert b"connect" in (await run(["--help"])).stdout
    assert (await run(["--version"])).stdout.startswith(b"wsfleet ")
