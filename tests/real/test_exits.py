"""User code that ends the program, or cancels itself, on real sockets and each event loop."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import anyio
import pytest

from wsfleet import ChildSpec, Client, ClientSupervisor, connect
from wsfleet.errors import SendError, StrayCancellationError
from wsfleet.testing import MockServer, json_rpc

HANDLERS = ["handler", "async handler", "on_connect", "async on_connect", "heartbeat"]

PROGRAM = """
import gc, os, sys, anyio, wsfleet

backend, options, url = sys.argv[1], {"use_uvloop": sys.argv[2] == "True"}, sys.argv[3]
options = options if backend == "asyncio" else {}

def leave(*_):
    if what.startswith("kbd"):
        raise KeyboardInterrupt
    sys.exit(7)

async def leave_later(*_):
    await anyio.sleep(0.01)
    leave()

async def request(client):
    await client.request("m")
    leave()  # the task goes on in the step that reads its response

async def main():
    common = {"close_timeout": 1.0}
    if what.endswith("run"):
        client = wsfleet.Client(url, on_connect=leave_later, **common)
        async with anyio.create_task_group() as tasks:
            await tasks.start(client.run)
            await anyio.sleep(20)
    elif what.endswith("task"):
        async with wsfleet.connect(url, **common) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(request, client)
                await anyio.sleep(20)
    elif what.endswith("pool"):
        async with wsfleet.ClientSupervisor() as pool:
            await pool.start_client(url, name="other", **common)
            client = await pool.start_client(url, on_disconnect=leave, **common)
            await client.reconnect()
            await anyio.sleep(20)
    else:
        async with wsfleet.connect(url, handler=leave, **common) as client:
            await client.send_message("x")
            await anyio.sleep(20)

def sockets():
    gc.collect()
    links = []
    for number in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd") else ():
        try:
            links.append(os.readlink("/proc/self/fd/" + number))
        except OSError:
            pass
    return sum(link.startswith("socket:") for link in links)

anyio.run(anyio.sleep, 0, backend=backend, backend_options=options)
before = sockets()  # an event loop keeps some of its own
for what in sys.argv[4:]:
    try:
        anyio.run(main, backend=backend, backend_options=options)
    except BaseException as error:
        while isinstance(error, BaseExceptionGroup) and what.endswith(("run", "task")):
            error = error.exceptions[0]  # a task group of the user's
        print(what, "raised", type(error).__name__, "and left:", sockets() - before, flush=True)
"""
WAYS = ["exit connect", "kbd connect", "exit pool", "kbd pool", "exit run", "exit task"]


async def test_a_program_that_user_code_ends(
    anyio_backend: tuple[str, dict[str, Any]],
) -> None:
    """
    `sys.exit()` and Ctrl-C in user code end the program at once, and leave no socket open:
    from a handler, a callback, and a task that goes on in the step that reads its response.
    """
    backend, options = anyio_backend
    async with MockServer(lambda message: json_rpc(message) or message) as server:
        arguments = [backend, str(options.get("use_uvloop")), server.url, *WAYS]
        with anyio.fail_after(50):
            run = await anyio.run_process(
                [sys.executable, "-c", PROGRAM, *arguments], check=False
            )
    said = (run.stdout + run.stderr).decode()
    for what in WAYS:
        kind = "KeyboardInterrupt" if what.startswith("kbd") else "SystemExit"
        assert f"{what} raised {kind} and left: 0" in said, said
    assert "report this bug" not in said


class Code:
    """User code that awaits something cancelled, or ends the program."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def call(self, *_: object) -> None:
        """Be a handler or callback."""
        if self.kind == "exit":
            raise SystemExit(3)
        raise stray()

    async def await_(self, *_: object) -> None:
        """Be an async one."""
        await anyio.sleep(0.01)
        self.call()

    async def run(self, _: object) -> None:
        """Be a heartbeat."""
        await self.await_()


def stray() -> BaseException:
    """Return a cancellation that nobody asked for."""
    cancelled = anyio.get_cancelled_exc_class()
    if hasattr(cancelled, "_create"):
        made: BaseException = cancelled._create(source="unknown")
        return made
    return cancelled()


def options_of(place: str, code: Code) -> dict[str, Any]:
    """Return the options of a client with that code in one place."""
    if place == "heartbeat":
        return {"heartbeat": code}
    return {place.removeprefix("async "): code.await_ if "async" in place else code.call}


@pytest.mark.parametrize("place", HANDLERS)
async def test_a_stray_cancellation_ends_its_own_client(place: str) -> None:
    """The client crashes with a typed error; the pool's block and its other clients go on."""
    async with MockServer(lambda message: message) as server:
        async with ClientSupervisor(
            [ChildSpec(server.url, name="other", close_timeout=1.0)], max_restarts=1000
        ) as pool:
            found = options_of(place, Code("stray"))
            client = Client(server.url, close_timeout=1.0, **found)
            with anyio.fail_after(20):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(say_something, client)
                    with pytest.raises(StrayCancellationError):
                        await client.run()
                    tasks.cancel_scope.cancel()
            await pool.wait_connected(1)
            await pool.send_balanced("x")


@pytest.mark.parametrize("place", HANDLERS)
async def test_an_exit_comes_out_of_the_block(place: str) -> None:
    """`SystemExit` of user code comes out of `connect` as it is, and the socket is closed."""
    async with MockServer(lambda message: message) as server:
        with pytest.raises(SystemExit) as caught, anyio.fail_after(20):
            async with connect(
                server.url, close_timeout=1.0, **options_of(place, Code("exit"))
            ) as client:
                await say_something(client)
                await anyio.sleep(30)
        assert caught.value.code == 3


async def say_something(client: Client) -> None:
    """Have the server send something."""
    with suppress(SendError):  # the client may have crashed before
        await client.wait_connected()
        await client.send_message("x")
    await anyio.sleep_forever()
