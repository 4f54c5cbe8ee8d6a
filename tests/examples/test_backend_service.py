from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from examples.backend_service import PRIMARIES, main
from wsfleet.testing import MockServer, json_rpc

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    Ask = Callable[[str], Awaitable[Any]]


@asynccontextmanager
async def service(primary: str, standby: str) -> AsyncGenerator[Ask]:
    """Run the service, and ask it over TCP."""
    async with anyio.create_task_group() as tasks:

        async def serve(task_status: anyio.abc.TaskStatus[int]) -> None:
            await main(primary, standby, port=0, task_status=task_status)

        port = await tasks.start(serve)
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            lines = BufferedByteReceiveStream(stream)

            async def ask(line: str) -> Any:
                with anyio.fail_after(10):
                    await stream.send(line.encode() + b"\n")
                    return json.loads(await lines.receive_until(b"\n", 65_536))

            yield ask
        tasks.cancel_scope.cancel()


async def test_questions_go_to_the_primaries() -> None:
    """While a primary is connected, no standby is asked."""
    async with MockServer(json_rpc) as primary, MockServer(json_rpc) as standby:
        async with service(primary.url, standby.url) as ask:
            for number in range(4):
                assert await ask(f"ping [{number}]") == {"result": [number]}
        assert len(primary.received) == 4
        assert standby.received == []


async def test_a_standby_takes_over_and_gives_back() -> None:
    """
    Without a primary the standby answers, and the primaries again once they are back; a
    question that was with a primary when it died is answered with what is known of it.
    """
    async with MockServer(json_rpc) as primary, MockServer(json_rpc) as standby:
        async with service(primary.url, standby.url) as ask:
            await primary.stop()
            while (answer := await ask("ping [1]")) != {"result": [1]}:
                assert "disconnected" in answer["error"]
            assert len(standby.received) == 1

            await primary.start()
            await primary.wait_for_connections(PRIMARIES, timeout=20)
            assert await ask("ping [2]") == {"result": [2]}
            await primary.assert_message_sent({"params": [2]})


async def test_a_wrong_question_is_answered() -> None:
    """What is wrong with a question is said to who asked, and the service goes on."""

    def unknown(message: str | bytes) -> dict[str, Any]:
        error = {"code": -32601, "message": "Method not found"}
        return {"jsonrpc": "2.0", "id": json.loads(message)["id"], "error": error}

    async with MockServer(unknown) as server, service(server.url, server.url) as ask:
        assert "no JSON" in (await ask("ping [1"))["error"]
        assert "Method not found" in (await ask("ping"))["error"]
