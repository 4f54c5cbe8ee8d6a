"""
A backend service with a fixed pool and a discovery of its own.

    python examples/backend_service.py [PRIMARY [STANDBY]]

It answers each line of TCP clients on port 8080, a method and perhaps its params as JSON, with
what the WebSocket servers say:

    $ echo 'public/get_time' | nc -q 1 localhost 8080
    {"result": 1764078375000}

Without URLs both servers are Deribit's test network.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio.abc import SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream

from wsfleet import ChildSpec, Client, ClientSupervisor, explain
from wsfleet.errors import WsfleetError

if TYPE_CHECKING:
    from anyio.abc import SocketStream, TaskStatus

TESTNET = "wss://test.deribit.com/ws/api/v2"
PRIMARIES, STANDBYS = 3, 1
LONGEST_LINE = 64 * 1024


async def main(
    primary: str = TESTNET,
    standby: str = TESTNET,
    *,
    port: int = 8080,
    task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; the status tells the port, for whoever asked for port 0."""
    roles = [("primary", primary)] * PRIMARIES + [("standby", standby)] * STANDBYS
    # The pool is fixed: what fails is started again, for as long as the service runs.
    specs = [
        ChildSpec(url, name=f"{role}-{n}", restart="permanent")
        for n, (role, url) in enumerate(roles)
    ]
    # In this order, so that no caller meets a service without its servers.
    async with (
        ClientSupervisor(specs) as fleet,
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port) as listener,
    ):
        task_status.started(listener.extra(SocketAttribute.local_port))
        await listener.serve(partial(converse, fleet))


async def converse(fleet: ClientSupervisor, stream: SocketStream) -> None:
    """Answer one TCP client, line by line."""
    lines = BufferedByteReceiveStream(stream)
    async with stream:
        try:
            while True:
                line = await lines.receive_until(b"\n", LONGEST_LINE)
                answer = await ask(fleet, line.decode())
                await stream.send(json.dumps(answer).encode() + b"\n")
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
            return  # it has hung up


async def ask(fleet: ClientSupervisor, line: str) -> dict[str, object]:
    """Pass one question on to the fleet."""

    def fit() -> list[Client]:
        """Name the primaries while one is connected, and the standbys only when none is."""
        connected = [each for each in fleet.list_clients() if each.get_state() == "connected"]
        primaries = [each for each in connected if each.name.startswith("primary")]
        return primaries or connected

    method, _, params = line.strip().partition(" ")
    try:
        arguments = json.loads(params) if params else None
        return {"result": await fleet.request_balanced(method, arguments, client_discovery=fit)}
    except json.JSONDecodeError as error:
        return {"error": f"params are no JSON: {error}"}
    except WsfleetError as error:
        return {"error": str(explain(error))}  # which repeats no secret


if __name__ == "__main__":
    try:
        anyio.run(partial(main, *sys.argv[1:3]))
    except KeyboardInterrupt:
        print("stopped")
