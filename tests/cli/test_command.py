from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wsfleet import connect, describe
from wsfleet._wire.speedups import COMPILED
from wsfleet._wire.transports import FAST
from wsfleet.recording.lines import header_line, text_line
from wsfleet.testing import MockServer, RawConnection, RawServer, json_rpc

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

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
        ["ws://x", "--wait", "nan"],
    ],
)
async def test_bad_usage_is_one_clear_line(arguments: list[str]) -> None:
    """A bad URL or option is told in one line, with what to do: exit 2."""
    done = await run(["connect", *arguments])

    assert done.stderr.count(b"\n") == 1
    assert done.stderr.endswith(b". Correct that value; nothing was opened or sent.\n")
    assert done.stderr.startswith(b"wsfleet: ")
    assert (done.stdout, done.returncode) == (b"", 2)


async def test_a_bad_url_among_good_ones_is_told_by_its_place() -> None:
    """Of several URLs the bad one is named by its place, because it may carry secrets."""
    done = await run(["connect", "ws://127.0.0.1:1/", "http://user:s3cret@x/?key=s3cret"])

    (line,) = done.stderr.splitlines()
    assert line.startswith(b"wsfleet: URL 2 must start with ws:// or wss://. Correct")
    assert done.returncode == 2


async def test_nothing_reachable_is_told() -> None:
    """
    Without a reachable endpoint the events show why, and a line for each endpoint says what to
    do: exit 1.
    """
    done = await run(["connect", "ws://127.0.0.1:1/", "--wait", "0.5"], "line\n")

    assert b"client.reconnect_scheduled" in done.stderr
    assert b"wsfleet: none of 1 clients could connect\n" in done.stderr
    assert done.stderr.count(b". Check host and port, and that the server runs.\n") == 1
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
    assert b"raise `request_timeout`.\n" in done.stderr
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


async def stderr_of(process: Any) -> bytes:
    """Return what the command said on stderr, to its end."""
    return b"".join([chunk async for chunk in process.stderr])


@pytest.mark.parametrize("options", [[], ["--listen"]])
async def test_a_signal_tells_what_became_of_the_lines(options: list[str]) -> None:
    """
    Ctrl-C with a request under way: one line says that its outcome is unknown, the goodbye is
    polite: exit 3.
    """
    process: Any
    async with MockServer(lambda _: None) as server:
        async with await anyio.open_process(
            [*WSFLEET, "connect", server.url, *options]
        ) as process:
            with anyio.fail_after(30):
                await process.stdin.send(b'{"id": 1, "method": "m"}\n')
                await server.assert_message_sent({"id": 1}, timeout=20.0)
                os.kill(process.pid, signal.SIGINT)
                told = await stderr_of(process)
                assert await process.wait() == 3
    assert b"wsfleet: line 1: outcome unknown: interrupted\n" in told
    assert b"client.closed" in told
    assert b"supervisor.stopped" in told


async def test_a_failure_counts_although_listening_goes_on() -> None:
    """With --listen a request that failed is not forgotten at Ctrl-C: exit 3."""
    process: Any
    async with MockServer(lambda _: None) as server:
        arguments = ["connect", server.url, "--listen", "--request-timeout", "0.2"]
        async with await anyio.open_process([*WSFLEET, *arguments]) as process:
            with anyio.fail_after(30):
                await process.stdin.send(b'{"id": 1, "method": "m"}\n')
                told = b""
                while b"line 1: outcome unknown" not in told:
                    told += await process.stderr.receive()
                os.kill(process.pid, signal.SIGINT)
                assert await process.wait() == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_while_nothing_is_connected_yet(number: signal.Signals) -> None:
    """A fleet that still connects ends in order, and says that nothing was reached: exit 1."""

    async def silent(raw: RawConnection) -> None:
        reached.set()
        await raw.read_to_end()

    reached = threading.Event()
    process: Any
    async with RawServer(silent) as server:
        async with await anyio.open_process(
            [*WSFLEET, "connect", server.url, "--timeout", "30"]
        ) as process:
            with anyio.fail_after(30):
                await anyio.to_thread.run_sync(reached.wait)
                os.kill(process.pid, number)
                told = await stderr_of(process)
                assert await process.wait() == 1
    assert b"supervisor.stopped" in told
    assert told.endswith(b"wsfleet: none of 1 clients could connect\n")


async def record(path: Path) -> None:
    """Record what a server says, twice, and what is said to it."""
    async with MockServer(lambda _: None) as server:
        async with connect(server.url, record_to=path) as client:
            for message in ('{"tick": 1}', "two\nlines", b"\x00\x01"):
                await server.inject_message(message)
                await anext(aiter(client))
            await client.send_message("sent")


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ([], [b'{"tick": 1}', b'"two\\nlines"', b"AAE="]),
        (["--direction", "out", "--realtime", "--speed", "1000"], [b"sent"]),
        (
            ["--direction", "both"],
            [b'< {"tick": 1}', b'< "two\\nlines"', b"< AAE=", b"> sent"],
        ),
    ],
)
async def test_a_recording_is_printed(
    tmp_path: Path, options: list[str], lines: list[bytes]
) -> None:
    """What came in is printed one a line, or what went out, or both, marked: exit 0."""
    await record(tmp_path / "session.jsonl")
    done = await run(["replay", str(tmp_path / "session.jsonl"), *options])

    assert done.stdout.splitlines() == lines
    assert (done.stderr, done.returncode) == (b"", 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_recording_is_served(tmp_path: Path, number: signal.Signals) -> None:
    """
    Served, each client gets what came in, as it came, and a goodbye; a signal ends it: exit 0.
    """
    await record(tmp_path / "session.jsonl")
    command = [*WSFLEET, "replay", str(tmp_path / "session.jsonl"), "--serve", "0"]
    process: Any
    async with await anyio.open_process(command) as process:
        with anyio.fail_after(30):
            told = b""
            while not told.endswith(b"\n"):
                told += await process.stderr.receive()
            url = told.split()[-1].decode()
            for _ in range(2):
                async with connect(url, reconnect_on_error=False, decode="raw") as client:
                    assert [event.data async for event in client] == [
                        '{"tick": 1}',
                        "two\nlines",
                        b"\x00\x01",
                    ]
            os.kill(process.pid, number)
            assert await process.wait() == 0
    assert told == f"wsfleet: serving the recording on {url}\n".encode()


async def test_a_server_of_a_slow_recording_ends_at_once(tmp_path: Path) -> None:
    """A client that waits for the next message in real time holds nobody up: exit 0."""
    path = tmp_path / "session.jsonl"
    await anyio.Path(path).write_bytes(
        header_line(0, "c", "ws://fake/")
        + text_line(0, "in", b"now")
        + text_line(3600 * 10**9, "in", b"an hour later")
    )
    process: Any
    async with await anyio.open_process(
        [*WSFLEET, "replay", str(path), "--serve", "0", "--realtime"]
    ) as process:
        with anyio.fail_after(30):
            url = (await process.stderr.receive()).split()[-1].decode()
            async with connect(url, reconnect_on_error=False) as client:
                assert (await anext(aiter(client))).data == "now"
                os.kill(process.pid, signal.SIGTERM)
                assert await process.wait() == 0


@pytest.mark.parametrize(
    ("content", "options", "complaint"),
    [
        (None, [], "No such file"),
        (None, ["--serve", "0"], "No such file"),
        (b"# notes\n", [], "session.jsonl, line 1: is not the beginning of a recording"),
        (b"", ["--speed", "0"], "speed must be"),
        (b"", ["--serve", "0", "--speed", "nan"], "speed must be"),
    ],
)
async def test_a_recording_that_cannot_be_read_is_one_clear_line(
    tmp_path: Path, content: bytes | None, options: list[str], complaint: str
) -> None:
    """A file that is missing, or is no recording, is told in one line: exit 2."""
    path = tmp_path / "session.jsonl"
    if content is not None:
        await anyio.Path(path).write_bytes(content)
    done = await run(["replay", str(path), *options])

    assert complaint in done.stderr.decode()
    assert done.stderr.startswith(b"wsfleet: ")
    assert (done.stderr.count(b"\n"), done.returncode) == (1, 2)


async def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    """A port that somebody else has is told in one line: exit 2."""
    await record(tmp_path / "session.jsonl")
    async with MockServer() as server:
        port = server.url.rpartition(":")[2]
        done = await run(["replay", str(tmp_path / "session.jsonl"), "--serve", port])

    assert b"address already in use" in done.stderr
    assert (done.stderr.count(b"\n"), done.returncode) == (1, 2)


async def test_a_reader_that_leaves_ends_the_replay(tmp_path: Path) -> None:
    """With `| head` the command ends when its reader has enough, without a word: exit 0."""
    path = tmp_path / "session.jsonl"
    lines = [text_line(n, "in", b"x" * 1000) for n in range(5000)]
    await anyio.Path(path).write_bytes(b"".join([header_line(0, "c", "ws://fake/"), *lines]))
    ours, its = os.pipe()
    process: Any
    async with await anyio.open_process([*WSFLEET, "replay", str(path)], stdout=its) as process:
        os.close(its)
        with anyio.fail_after(30):
            assert os.read(ours, 100) == b"x" * 100
            os.close(ours)
            assert await process.wait() == 0
            with pytest.raises(anyio.EndOfStream):
                await process.stderr.receive()


@pytest.mark.parametrize("name", [[], ["client"], ["Client", "send_message"], ["event"]])
async def test_the_api_is_described_for_programs(name: list[str]) -> None:
    """With --json what `describe` says is printed as one line of JSON: exit 0."""
    done = await run(["describe", *name, "--json"])

    assert json.loads(done.stdout) == describe(*name)
    assert (done.stdout.count(b"\n"), done.stderr, done.returncode) == (1, b"", 0)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ([], ["wsfleet (module)", "    connect (async context manager)"]),
        (["Client.close"], ["wsfleet.Client.close (async method)", "    close() -> None"]),
        (["Client", "send_message"], ["parameters", "    message: Sendable", "raises"]),
        (["Client"], ["attributes", "    url: str", "    close() -> None (async method)"]),
        (["Config"], ["    timeout: float = 5.0"]),
        (["config", "timeout"], ["    float = 5.0"]),
        (["clientstate"], ["values", "    CONNECTED = 'connected'"]),
        (["clientstate", "connected"], ["    'connected'"]),
        (["errors"], ["    |   +-- DnsError"]),
    ],
)
async def test_the_api_is_described_for_people(name: list[str], lines: list[str]) -> None:
    """Without --json it is text, no wider than 80 columns: exit 0."""
    done = await run(["describe", *name])

    printed = done.stdout.decode().splitlines()
    assert set(lines) <= set(printed)
    assert max(map(len, printed)) <= 80
    assert (done.stderr, done.returncode) == (b"", 0)


async def test_a_name_that_is_not_there_is_one_clear_line() -> None:
    """A name that is not public is told in one line, with those that are near: exit 2."""
    done = await run(["describe", "ClientSupervisr"])

    (line,) = done.stderr.splitlines()
    assert line.startswith(
        b"wsfleet: name 'ClientSupervisr' is not public in wsfleet; "
        b"did you mean ClientSupervisor"
    )
    assert (done.stdout, done.returncode) == (b"", 2)


async def test_the_demo_adds_up() -> None:
    """
    The demonstration loses a server, answers or reports every request, and its numbers add up:
    exit 0.
    """
    with anyio.fail_after(15):
        done = await run(["demo"])

    text = done.stdout.decode()
    assert done.returncode == 0, text
    number = {k.strip(): int(n) for k, n in re.findall(r"│ ([\w() ]+?) +│ +(\d+) │\n", text)}
    rows = re.findall(r"│ (\S+) +│ +(\d+) │ +(\d+) │ +(\d+) │", text)
    *clients, total = [[int(n) for n in numbers] for _, *numbers in rows]
    assert number["requests"] == number["answered"] + sum(
        number[f"{kind} (caller was told)"] for kind in ("unknown", "not sent")
    )
    assert len(clients) == 6
    assert [sum(column) for column in zip(*clients, strict=True)] == total
    assert sum(total) == number["answered"]
    assert number["reconnects"] == 2
    for word in ("requests", "answered", "failed over", "unknown", "reconnects", "p50", "p99"):
        assert word in text
    assert "the numbers add up" in text
    assert b"client.disconnected" in done.stderr


async def test_help_and_version() -> None:
    """The command says what it can do, which version it is, and what it has for speed."""
    assert b"connect" in (await run(["--help"])).stdout
    version = (await run(["--version"])).stdout.decode()
    assert version.startswith("wsfleet ")
    assert ("codec: compiled" if COMPILED else "codec: plain Python") in version
    assert ("TLS: aiofastnet" if FAST else "TLS: the event loop's") in version
