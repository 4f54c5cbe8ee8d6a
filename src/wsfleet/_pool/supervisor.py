"""
A pool: clients that live exactly as long as its `async with` block.

Rule 1: a lost connection is not a crash; only what users' code raises counts against
`max_restarts`.
Rule 2: one client's end never ends another, except through the restart limit.
"""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.lowlevel import checkpoint

from wsfleet._client.binding import LoopBinding
from wsfleet._client.client import Client
from wsfleet._client.fairness import yields_before_raising
from wsfleet._client.messages import result_of
from wsfleet._client.user_code import unless_cancelled
from wsfleet._log import Log
from wsfleet._wire.opening import open_connection
from wsfleet.errors import ConfigError, NotConnectedError, RestartLimitError

from .balancing import send_over
from .child import Child, ChildSpec
from .health_rows import PoolHealth, row_of
from .intensity import RestartIntensity
from .keeping import Keeper
from .merged import Merged, MergedListener
from .outage import Outage
from .outcome import Outcome
from .ready import Ready
from .routing import Router

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from typing import Self, Unpack

    from anyio.abc import TaskGroup, TaskStatus

    from wsfleet._client.callbacks import Callback
    from wsfleet._client.config import ClientOptions, Config
    from wsfleet._client.events import Handler
    from wsfleet._client.life import Opener
    from wsfleet._client.messages import Sendable

    from .candidates import Discovery
    from .child import Restart

_ids: Final = itertools.count(1)
"""Of balanced requests: over all pools, because one may route over the clients of another."""


class ClientSupervisor(anyio.AsyncContextManagerMixin):
    """
    Starts, watches and restarts clients, and routes messages over them.

    Its block begins when each of `children` has connected or seen its first attempt fail: one
    dead server holds up nobody. Leaving the block says goodbye to the clients in the reverse
    order of their start, to each at once, so that silent peers do not add up, and ends each
    within its `shutdown`. When clients crash too often, the block is
    cancelled, all are stopped, and `RestartLimitError` is raised.

    Args:
        children: clients to start with.
        max_restarts: crashes that are tolerated within `max_seconds`, over the whole pool.
        max_seconds: the length of that window.
        opener: the door to the network; tests may put another in.

    Raises:
        ConfigError: an argument has a value that can never work.
    """

    def __init__(
        self,
        children: Iterable[ChildSpec] = (),
        *,
        max_restarts: int = 10,
        max_seconds: float = 60.0,
        opener: Opener = open_connection,
    ) -> None:
        self._specs = tuple(children)
        self._intensity = RestartIntensity(max_restarts, max_seconds)
        self._opener = opener
        self._children: dict[Client, Child] = {}
        self._names: set[str] = set()
        self._ready = Ready()
        self._router = Router()
        self._merged = Merged()
        self._tasks: TaskGroup | None = None
        self._block: anyio.CancelScope  # made by the event loop that it belongs to
        self._stopping = False
        self._home = LoopBinding("the supervisor")
        self._outcome = Outcome()
        self._log = Log(self._exit)
        self._outage = Outage(lambda: len(self._ready.clients), self._log)

    def __repr__(self) -> str:
        return f"<ClientSupervisor {self._ready.count()}/{len(self._children)} connected>"

    # its life

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        if self._tasks is not None:
            await checkpoint()
            raise RuntimeError("a supervisor can be entered once: make another")
        self._block = anyio.CancelScope()
        self._home.bind()
        try:
            async with anyio.create_task_group() as self._tasks:
                self._log.info("supervisor.started", children=len(self._specs))
                try:
                    with self._block:
                        await self._start_children()
                        yield self
                except BaseException as exc:  # noqa: BLE001 - raised again after the task group, which would wrap it
                    self._outcome.block_error = unless_cancelled(exc)
                finally:
                    await self._stop_all()
        finally:
            self._log.info("supervisor.stopped")
            self._home.release()
            self._outcome.raise_exit()
        self._outcome.raise_error()

    async def _start_children(self) -> None:
        assert self._tasks is not None
        children = []
        for spec in self._specs:
            child = self._adopt(spec)
            self._tasks.start_soon(self._keep, child)  # who is adopted has an end
            children.append(child)
        for child in children:
            await child.settled.wait()

    async def _stop_all(self) -> None:
        self._stopping = True
        children = list(reversed(self._children.values()))
        grace = max(
            (c.spec.shutdown + c.spec.config.close_timeout for c in children), default=0.0
        )
        with anyio.move_on_after(grace + 1.0, shield=True):
            for child in children:
                child.ask_to_stop()
            for child in children:
                await child.done.wait()
                self._log_stopped(child, "stopped")
        self._merged.end()

    # children

    @yields_before_raising
    async def start_client(
        self,
        url_or_config: str | Config,
        *,
        name: str | None = None,
        handler: Handler | None = None,
        restart: Restart = "transient",
        shutdown: float = 5.0,
        on_connect: Callback | None = None,
        on_disconnect: Callback | None = None,
        **options: Unpack[ClientOptions],
    ) -> Client:
        """
        Start a client, and return it when it is connected.

        Args:
            url_or_config: a `ws://` or `wss://` URL, or a `Config`.
            name: unique among the supervisor's clients; made up when not given.
            handler: as for `Client`; without it, its events go to the merged stream.
            restart: "permanent" starts it again however it ended, "transient" unless it was
                closed or refused for good, "temporary" never.
            shutdown: seconds that it has to end when it is stopped; its task is cancelled after
                them.
            on_connect: called with the client at each connection gained, sync or async; what it
                raises is logged.
            on_disconnect: the same at each connection lost.
            **options: see `Config`.

        Raises:
            ConfigError: an option has a value that can never work, or the name is taken.
            ConnectError: no connection could be opened; no child is left.
            NotConnectedError: it was stopped before it was connected; no child is left.
            RuntimeError: the supervisor's block has not begun, or has ended; or it runs on
                another event loop.

        Cancelling it leaves no child.
        """
        self._home.check()
        if self._tasks is None or self._stopping:
            raise RuntimeError(
                "the supervisor is not running: start clients inside its `async with` block"
            )
        try:
            spec = ChildSpec(
                url_or_config,
                name=name,
                handler=handler,
                restart=restart,
                shutdown=shutdown,
                on_connect=on_connect,
                on_disconnect=on_disconnect,
                **options,
            )
        finally:
            del url_or_config, options  # tracebacks may show local variables
        child = self._adopt(spec)
        await self._tasks.start(self._keep, child)
        if not child.client.life.generation:
            await child.done.wait()
            raise NotConnectedError(child.client.name, "closed")
        return child.client

    def list_clients(self) -> list[Client]:
        """
        Return the clients under supervision, in the order of their start, connected or not.
        """
        return list(self._children)

    @yields_before_raising
    async def stop_client(self, client: Client) -> None:
        """
        Stop a client for good, and return when it has ended; one that is no child any more
        stays as it is.

        Args:
            client: one of `list_clients()`.

        Cancelling it stops the waiting, not the stopping.
        """
        self._home.check()
        child = self._children.get(client)
        if child is None:
            await checkpoint()
            return
        child.ask_to_stop()
        await child.done.wait()

    def _adopt(self, spec: ChildSpec) -> Child:
        if spec.name in self._names:
            raise ConfigError(
                "name", f"{spec.name!r} is taken by another client of this supervisor"
            )
        client = Client(
            spec.config,
            name=spec.name,
            handler=spec.handler,
            on_connect=spec.on_connect,
            on_disconnect=spec.on_disconnect,
            opener=self._opener,
        )
        client.supervised = client.life.in_own_task = True
        client.life.network = self._outage.member(spec.config.url)
        child = Child(spec, client)
        client.life.watchers.append(child.watch)
        self._children[client] = child
        self._names.add(client.name)
        self._ready.watch(client)
        if not client.has_handler:
            self._merged.add(client)
        return child

    async def _keep(
        self, child: Child, *, task_status: TaskStatus[Client] | None = None
    ) -> None:
        reason = "stopped"
        # Only the end of the block ends a child: a cancellation that hits both would cut its
        # goodbye short, and `_stop_all` gives it a deadline. One that somebody waits for can be
        # cancelled with its caller until it has started.
        child.scope.shield = task_status is None
        keeper = Keeper(child, self._intensity, self._log, task_status)
        del task_status  # held otherwise for as long as the child
        try:
            with child.scope:
                reason = await keeper.run()
            if not self._stopping:
                self._log_stopped(child, "stopped" if child.stopping else reason)
        except RestartLimitError as error:
            self._outcome.limit_error = error
            self._block.cancel()
        except BaseException as exc:
            if exc is not child.client.life.exit:
                raise
        finally:
            self._forget(child)
            if (exit_error := child.client.life.exit) is not None:
                self._exit(exit_error)

    def _exit(self, error: BaseException) -> None:
        """Let the block raise it; raised in another task it would tear the event loop down."""
        self._outcome.exit = self._outcome.exit or error
        self._block.cancel()

    def _forget(self, child: Child) -> None:
        client = child.client
        del self._children[client]
        self._names.discard(client.name)
        if not client.has_handler:
            self._merged.remove(client)
        client.retire()
        self._ready.wake()
        child.settled.set()
        child.done.set()

    def _log_stopped(self, child: Child, reason: str) -> None:
        client = child.client
        self._log.info(
            "supervisor.child_stopped", client=client.name, url=client.url, reason=reason
        )

    # routing

    async def send_balanced(
        self,
        message: Sendable,
        *,
        max_attempts: int = 3,
        client_discovery: Discovery | None = None,
        idempotent: bool = False,
    ) -> Any:
        """
        Send one message through the fittest client, and through another where the first could
        not send it.

        Args:
            message: as for `Client.send_message`.
            max_attempts: candidates to try, each once.
            client_discovery: names the candidates, sync or async; the supervisor's own clients
                when None. Anything that satisfies `Candidate` can be one.
            idempotent: whether doing it twice does no harm. Only then is a message repeated of
                which it is unknown whether it was sent.

        Returns:
            The response for a request, else None.

        Raises:
            NoConnectionsError: not sent: no candidate is connected.
            MaxAttemptsExceededError: all attempts failed; `attempts` has each one's client and
                error.
            RequestTimeoutError: sent, no response in time; outcome unknown.
            DisconnectedError: sent, the connection dropped before the response; outcome
                unknown.
            TypeError: not sent: the message cannot be, or discovery named something that is no
                client.
            StrayCancellationError: discovery or a candidate of yours let a cancellation out
                that nobody asked for; outcome unknown where it was a candidate.

        Cancelling it acts as on `Client.send_message`; no further candidate is tried.
        """
        sending = send_over(
            self._ready.clients,
            message,
            client_discovery,
            home=self._home,
            router=self._router,
            max_attempts=max_attempts,
            idempotent=idempotent,
            known=len(self._children),
        )
        del message  # tracebacks may show local variables
        return await sending

    @yields_before_raising
    async def request_balanced(
        self,
        method: str,
        params: Any = None,
        *,
        max_attempts: int = 3,
        client_discovery: Discovery | None = None,
        idempotent: bool = False,
    ) -> Any:
        """
        Call a method (JSON-RPC 2.0) through the fittest client, with an id of its own.

        Args:
            method: its name.
            params: a mapping or a list; left out when None.
            max_attempts: see `send_balanced`.
            client_discovery: see `send_balanced`.
            idempotent: see `send_balanced`.

        Returns:
            The response's `result`.

        Raises:
            JsonRpcError: the server answered with an error.
            SendError: as for `send_balanced`.
        """
        message = {"jsonrpc": "2.0", "id": f"balanced-{next(_ids)}", "method": method}
        if params is not None:
            message["params"] = params
        sending = self.send_balanced(
            message,
            max_attempts=max_attempts,
            client_discovery=client_discovery,
            idempotent=idempotent,
        )
        del message, params  # tracebacks may show local variables
        return result_of(await sending)

    # watching

    @yields_before_raising
    async def wait_connected(self, count: int = 1) -> None:
        """
        Return when at least `count` clients are connected.

        Args:
            count: how many.

        Raises:
            NoConnectionsError: fewer than that are left under supervision.
        """
        self._home.check()
        await self._ready.wait(count, self._children)

    def pool_health(self) -> list[PoolHealth]:
        """Return one row for each client, in the order of their start."""
        return [row_of(child) for child in self._children.values()]

    def __aiter__(self) -> MergedListener:
        """
        Iterate over `(client, event)` of all clients without a handler, in turn; ends with the
        supervisor's block.
        """
        self._home.check()
        return MergedListener(self._merged)
