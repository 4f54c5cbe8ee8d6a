"""What a caller does to meet a fault in the life of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from .peer import FAULT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .fault import Act
    from .scene import Scene

NOTIFICATION = {"jsonrpc": "2.0", "method": FAULT}
"""A message that asks for the fault and for no answer."""

BULK = b"x" * 300_000


async def ask(scene: Scene) -> Any:
    """Make the request that meets the fault."""
    return await scene.client.request(FAULT)


async def subscribe(scene: Scene) -> Any:
    """Subscribe to a channel."""
    return await scene.client.subscribe("a")


async def subscribe_and_ask(scene: Scene) -> Any:
    """Subscribe to a channel, and make the request that meets the fault."""
    await scene.client.subscribe("a")
    scene.begin_now()
    return await scene.client.request(FAULT)


def hear(kind: type[Any]) -> Act:
    """Return what asks for the fault without a request, and waits for an event of a kind."""

    async def act(scene: Scene) -> Any:
        scene.client.send_nowait(NOTIFICATION)
        return await scene.event(kind)

    return act


async def end(scene: Scene) -> Any:
    """Ask for the fault, and wait for the end of the client."""
    scene.client.send_nowait(NOTIFICATION)
    return await over(scene)


async def over(scene: Scene) -> Any:
    """Wait for the end of the client."""
    await scene.ended.wait()
    return scene.error


def while_asked(doing: Callable[[Scene], Awaitable[None]]) -> Act:
    """Return what does something while the request that meets the fault is in flight."""

    async def act(scene: Scene) -> Any:
        async def do() -> None:
            await scene.stage.until(lambda: FAULT in scene.stage.asked)
            scene.begin_now()
            await doing(scene)

        error: Exception | None = None
        answer: Any = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(do)
            try:
                answer = await ask(scene)
            except Exception as exc:  # noqa: BLE001 - it is what the caller gets
                error = exc
        if error is not None:
            raise error
        return answer

    return act


async def fill(scene: Scene) -> None:
    """Send to a peer that does not read, until there is no room."""
    await scene.client.request(FAULT)
    refused = 0
    while refused < 3:
        try:
            scene.client.send_nowait(BULK)
            refused = 0
        except anyio.WouldBlock:
            refused += 1
        await anyio.sleep(0.01)
    scene.begin_now()


async def fill_and_ask(scene: Scene) -> Any:
    """Make a request for which there is no room."""
    await fill(scene)
    return await scene.client.request("full")


async def fill_and_send(scene: Scene) -> Any:
    """Send a message without an id for which there is no room."""
    await fill(scene)
    return await scene.client.send_message(BULK)
