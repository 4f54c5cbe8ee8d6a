"""`connect`: a client that lives exactly as long as its `async with` block."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from wsfleet._wire.opening import open_connection

from .client import Client
from .user_code import shield_unless_cancelled, unless_cancelled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import Unpack

    from anyio.abc import TaskStatus

    from .callbacks import Callback
    from .config import ClientOptions, Config
    from .events import Handler
    from .life import Opener


@asynccontextmanager
async def connect(
    url_or_config: str | Config,
    *,
    name: str | None = None,
    handler: Handler | None = None,
    on_connect: Callback | None = None,
    on_disconnect: Callback | None = None,
    opener: Opener = open_connection,
    **options: Unpack[ClientOptions],
) -> AsyncGenerator[Client]:
    """
    Connect, and keep a client connected for the length of a block.

    The block begins when the connection is open. Leaving it closes the client, within twice
    `close_timeout` also when the block was cancelled. When the client ends for good before
    that, an iteration over it raises the error; without one, the block is cancelled and raises
    it. An error of the block itself comes out as it is.

    Args:
        url_or_config: a `ws://` or `wss://` URL, or a `Config`.
        name: in logs and errors; made up when not given.
        handler: called with each event, sync or async; without it, iterate over the client.
        on_connect: called with the client at each connection gained, sync or async; what it
            raises is logged.
        on_disconnect: the same at each connection lost.
        opener: the door to the network; tests may put another in.
        **options: see `Config`.

    Raises:
        ConfigError: an option has a value that can never work.
        ConnectError: no connection could be opened.
        DisconnectedError: the connection was lost, for good.
        Exception: what the handler raised. `SystemExit` and `KeyboardInterrupt` of a handler, a
            callback or a heartbeat come out, too.
    """
    try:
        client = Client(
            url_or_config,
            name=name,
            handler=handler,
            on_connect=on_connect,
            on_disconnect=on_disconnect,
            opener=opener,
            **options,
        )
    except Exception:
        del url_or_config, options  # tracebacks may show local variables
        await checkpoint()  # see `fairness`
        raise
    del url_or_config, options
    client.life.in_own_task = True
    living = _Living(client)
    try:
        async with anyio.create_task_group() as living.tasks:
            try:
                await living.tasks.start(living.run)
                # A cancellation that came in the moment of the start may have ended the
                # client: the block, which would find it closed, does not begin.
                await checkpoint_if_cancelled()
                living.raise_start_error()
                if living.exit is None:
                    yield client
            except BaseException as exc:  # noqa: BLE001 - raised again after the task group, which would wrap it
                living.block_error = unless_cancelled(exc)
            finally:
                with anyio.move_on_after(3 * client.config.close_timeout, shield=True):
                    await client.close()
                living.scope.cancel()
    finally:
        living.raise_exit()
    living.raise_error()


class _Living:
    """
    Keeps apart what the client and what the block raised, so that one error comes out, as it
    is.

    Attributes:
        exit: what user code of the client raised to end the program.
        start_error: what kept the client from its first connection.
    """

    def __init__(self, client: Client) -> None:
        self.tasks: anyio.abc.TaskGroup
        self.scope = anyio.CancelScope()
        self.block_error: BaseException | None = None
        self.exit: BaseException | None = None
        self.start_error: Exception | None = None
        self._client = client
        self._client_error: Exception | None = None
        self._status: TaskStatus[Client] | None = None

    async def run(self, *, task_status: TaskStatus[Client]) -> None:
        self._status = task_status
        try:
            with self.scope:
                await self._client.run(task_status=self)
        except Exception as exc:  # noqa: BLE001 - raised in the task of the block
            self._client_error = exc
            if self._status is not None:
                # Not raised into connect(), which waits for the start: trio would ask for the
                # repr of an error of the user's, and end if that raises.
                self.start_error = exc
                self.started(self._client)
            elif not self._client.inbox.heard:
                self.tasks.cancel_scope.cancel()
        except BaseException as exc:
            if exc is not self._client.life.exit:
                raise
        finally:
            self._keep_exit()

    def _keep_exit(self) -> None:
        """Let the block raise it; raised in this task it would tear the event loop down."""
        self.exit = self._client.life.exit
        if self.exit is not None:
            if self._status is not None:
                self.started(self._client)
            self.tasks.cancel_scope.cancel()

    def started(self, client: Client) -> None:
        """Let connect() go on; whether it does before the client ends is the event loop's."""
        status, self._status = self._status, None
        assert status is not None
        status.started(client)
        # From here on only the end of the block ends the client: a cancellation of both would
        # cut its close short. The block gives that a deadline.
        shield_unless_cancelled(self.scope)

    def raise_start_error(self) -> None:
        if self.start_error is not None:
            raise self.start_error

    def raise_exit(self) -> None:
        if self.exit is not None:
            raise self.exit from self.exit.__cause__ or self.block_error

    def raise_error(self) -> None:
        if self.block_error is not None:
            raise self.block_error
        if self._client_error is not None and not self._client.inbox.told:
            raise self._client_error
