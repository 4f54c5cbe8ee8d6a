"""
The process of a run's servers: `python -m tests.chaos.server`, which `process.py` starts.

It reads its plan and then commands from its standard input, one a line, and ends with it, so
that it never outlives the run: `start` begins the faults, `calm` ends them, `log` writes what
was seen.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import sys
from typing import TYPE_CHECKING, Any

from .endpoint import Endpoint
from .faults import faults
from .log import ServerLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def _commands() -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        yield line.decode().strip()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _context(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def _endpoints(plan: dict[str, Any], log: ServerLog) -> list[Endpoint]:
    endpoints = []
    for number, encrypted in enumerate(plan["tls"]):
        tls = _context(plan["certificate"]) if encrypted else None
        endpoint = Endpoint(number, plan["seed"], log, tls)
        await endpoint.listen()
        endpoints.append(endpoint)
    return endpoints


async def serve() -> None:
    """Serve until the standard input ends."""
    logging.disable()  # asyncio's warnings of connections that faults have ended
    commands = _commands()
    plan = json.loads(await anext(commands))
    log = ServerLog()
    endpoints = await _endpoints(plan, log)
    _say(json.dumps([endpoint.port for endpoint in endpoints]))
    always = [endpoint.send_events() for endpoint in endpoints]
    tasks = [asyncio.create_task(each) for each in (*always, log.stalls.probe(asyncio.sleep))]
    harm: list[asyncio.Task[None]] = []
    async for command in commands:
        if command == "start":
            for each in endpoints:
                coming = faults(plan["seed"], each.number, plan["pace"])
                harm.append(asyncio.create_task(each.suffer(coming)))
        elif command == "calm":
            for task in harm:
                task.cancel()
        elif command == "log":
            log.complaints += [repr(t.exception()) for t in (*harm, *tasks) if has_failed(t)]
            _say(log.to_json())


def has_failed(task: asyncio.Task[None]) -> bool:
    """Tell whether a task raised something of its own."""
    return task.done() and not task.cancelled() and task.exception() is not None


if __name__ == "__main__":
    asyncio.run(serve())
