"""
A client: one connection that outlives its sockets.

Rule: it is the door to what its parts do; `life` lives it, `sender` sends, `inbox` holds what
came.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.lowlevel import checkpoint

from wsfleet._wire.opening import open_connection
from wsfleet.errors import DisconnectedError, InboxOverflowError, SendError

from .checks import check_number
from .config import Config
from .correlation import Correlation
from .delivery import Delivery
from .fairness import yields_before_raising
from .gate import Gate
from .gauges import Gauges
from .inbox import Inbox, Listener
from .latency import LatencyWindow
from .life import Life
from .message_log import MessageLog
from .messages import outgoing, outgoing_call, result_of
from .owner import Owner
from .preparation import Preparation
from .reading import Reading
from .recorder import Recorder
from .sender import Sender
from .subscriptions import Subscriptions, channel_names
from .tapping import tapping
from .user_code import crash_of
from .watching import watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Unpack

    from .callbacks import Callback, Starting
    from .config import ClientOptions
    from .events import Handler
    from .life import Opener
    from .messages import Sendable

_numbers: Final = itertools.count(1)


class Client(Gauges):
    """
    One connection kept alive.

    `run` lives its life in a task group of yours; `wsfleet.connect` and `ClientSupervisor` do
    that for you. All methods belong to the event loop that runs it: elsewhere, those that send,
    wait or end it raise `RuntimeError`; from another thread use `anyio.from_thread`.

    Attributes:
        config: its options.
        name: in logs and errors.

    Args:
        url_or_config: a `ws://` or `wss://` URL, or a `Config`.
        name: in logs and errors; made up when not given.
        handler: called with each event, sync or async (one at a time, in order); without it,
            iterate.
        on_connect: called with the client at each connection gained, sync or async; what it
            raises is logged.
        on_disconnect: the same at each connection lost.
        opener: the door to the network; tests may put another in.
        **options: see `Config`.

    Raises:
        ConfigError: an option has a value that can never work.
    """

    def __init__(
        self,
        url_or_config: str | Config,
        *,
        name: str | None = None,
        handler: Handler | None = None,
        on_connect: Callback | None = None,
        on_disconnect: Callback | None = None,
        opener: Opener = open_connection,
        **options: Unpack[ClientOptions],
    ) -> None:
        try:
            config = Config.of(url_or_config, options)
        except Exception:
            del self, url_or_config, options  # tracebacks may show local variables
            raise
        self.config: Config = config
        self.name: str = name if name is not None else f"client-{next(_numbers)}"
        self.supervised: bool = False
        recorder = Recorder.of(config, self.name)
        message_log = MessageLog(self) if config.debug else None
        limiter = config.new_limiter()
        life = Life(self.name, config, tapping(opener, recorder, message_log))
        self.life: Life = life
        if recorder is not None:
            recorder.exits = life.crash
        crash, unread = life.crash, life.failures.add  # once: a bound method takes 80 bytes
        self._subscriptions = Subscriptions(
            self.name,
            config.venue,
            restore=config.restore_subscriptions,
            crashed=crash,
            unread=unread,
        )
        self._handler = handler
        self._requests = Correlation(self.name)
        life.reading = Reading(self._requests, config.inbox_bytes, self._starve)
        self.inbox: Inbox = Inbox(
            config.inbox_size,
            config.inbox_bytes,
            config.overflow,
            reading=life.reading,
            failed=self._overflowed,
        )
        self._sender = Sender(
            self.name,
            life,
            self._requests,
            LatencyWindow(config.latency_buffer_size),
            None if limiter is None else Gate(self.name, limiter, config.limiter_timeout),
        )
        self._delivery = Delivery(
            self._requests,
            self.inbox,
            handler,
            decode=config.decode,
            crashed=self._handler_failed,
            unread=unread,
            ponged=life.beats.on_pong,
            watch=watcher(self._subscriptions, life.beats, by_id=config.venue.by_id),
        )
        life.owner = Owner(
            client=self,
            delivery=self._delivery,
            requests=self._requests,
            limiter=limiter,
            preparation=Preparation(
                life.url,
                config.venue,
                self._subscriptions,
                config.request_timeout,
                unread,
            ),
            channels=self._subscriptions.channels,
            lost=self._lost,
            over=self._over,
            worker=self._take_events if self._delivery.awaits_handler else None,
            on_connect=on_connect,
            on_disconnect=on_disconnect,
            recorder=recorder,
        )

    def __repr__(self) -> str:
        return f"<Client {self.name} {self.life.phase.value} {self.url}>"

    # life

    async def run(self, *, task_status: Starting = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Connect, and stay connected until closed, failed or crashed; `await
        task_group.start(client.run)`.

        It may be run again after it has ended, by one task at a time.

        Args:
            task_status: told once, when the first connection is open (or the client was closed
                before).

        Raises:
            ConnectError: no connection could be opened, for good: the server's answer cannot
                heal, or `retry_count` is exhausted.
            DisconnectedError: the connection was lost, for good.
            Exception: whatever a handler raised; the connection ended with close code 1011.
                `SystemExit` and `KeyboardInterrupt` of a handler, a callback or a heartbeat
                come out in the same way.
            InboxOverflowError: the inbox was full, and the policy is "fail".

        Cancelling it ends the connection without waiting for the peer's goodbye.
        """
        # Before and not after what may raise: an error that is on its way to the owner must not
        # be lost to a cancellation.
        await checkpoint()  # see `fairness`
        if self.life.alive:
            self.life.home.check()
            raise RuntimeError(f"{self.name} is running already: one task at a time runs it")
        self.inbox.open()
        error: Exception | None = None
        try:
            await self.life.run(partial(task_status.started, self))
        except Exception as exc:
            error = exc
            raise
        except BaseException as exc:
            if exc is self.life.exit:  # it is for the owner of the task; those who iterate end
                what = f"user code raised {type(exc).__name__}"
                error = DisconnectedError(self.name, None, what)
            raise
        finally:
            if not self.supervised:
                self.inbox.end(error)

    @yields_before_raising
    async def close(self) -> None:
        """
        End the client.

        Says goodbye, waits at most `close_timeout` for the peer's, and frees the socket. Always
        succeeds; closing again does nothing. Requests in flight fail with `DisconnectedError`;
        iteration ends after what has arrived.
        """
        self.life.home.check()
        await self.life.close()

    @yields_before_raising
    async def reconnect(self) -> None:
        """
        Drop the connection and open a new one now; returns when it is open.

        Keeps the configuration, the handler, the callbacks, the heartbeats, the statistics, the
        supervision and the subscriptions, which are restored first; resets the count of
        retries. Requests in flight fail with
        `DisconnectedError`.

        Raises:
            NotConnectedError: the client is not running, or was closed meanwhile.
            ConnectError: no connection could be opened, for good.

        Cancelling it stops the waiting, not the reconnecting.
        """
        self.life.home.check()
        await self.life.reconnect()

    @yields_before_raising
    async def wait_connected(self) -> None:
        """
        Return when the client is connected, at once if it is.

        Raises:
            NotConnectedError: it is not running, or was closed meanwhile.
            ConnectError: no connection could be opened, for good.
            DisconnectedError: the connection was lost, for good.

        Cancelling it changes nothing.
        """
        self.life.home.check()
        await self.life.until_connected()

    # sending

    async def send_message(self, message: Sendable) -> Any:
        """
        Send one message.

        Args:
            message: str as text, bytes as binary, a mapping as JSON. A JSON object with an
                `id`, as str or as a mapping, is a request unless it is itself a response
                ("result" or "error", no "method").

        Returns:
            For a request, the decoded response with the same id. Else None, once the message
            has been handed to the network whole.

        Raises:
            NotConnectedError: not sent: there is no connection at this moment.
            DuplicateRequestIdError: not sent: the id is in flight.
            RateLimitedError: not sent: the limiter has no room within `limiter_timeout`.
            RequestTimeoutError: no response within `request_timeout` seconds; `sent` says
                whether it went out.
            DisconnectedError: the connection dropped before the response came; sent, outcome
                unknown.
            BackpressureError: the response cannot be read, because events that were not taken
                fill the inbox up to `inbox_bytes`; `sent` says whether it went out.
            TypeError: not sent: the message is none of the above, or not JSON-able.
            UnicodeEncodeError: not sent: a text has surrogates, which UTF-8 cannot carry.

        Cancelling it before the message is handed over sends nothing; after that, the response
        is no longer awaited. A message is never sent in part.
        """
        sender, timeout = self._sender, self.config.request_timeout
        try:
            try:
                ready = outgoing(message)
            finally:
                del message  # tracebacks may show local variables
            if ready.request_id is None:
                return await sender.send(ready, timeout)
            return await sender.exchange(ready, ready.request_id, timeout)
        except Exception:
            await checkpoint()  # see `fairness`
            raise

    def send_nowait(self, message: Sendable) -> None:
        """
        Send one message at once, from a sync handler for example; never waits for a response.

        Args:
            message: as for `send_message`.

        Raises:
            anyio.WouldBlock: not sent: the write buffer is above its high-water mark.
            RateLimitedError: not sent: the limiter has no room now.
            NotConnectedError: not sent: there is no connection at this moment.
            TypeError: not sent: see `send_message`.
        """
        if type(message) is str and self._sender.offer_text(message):
            return
        try:
            ready = outgoing(message)
        finally:
            del message  # tracebacks may show local variables
        self._sender.send_nowait(ready)

    async def request(
        self,
        method: str,
        params: Any = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """
        Call a method (JSON-RPC 2.0), with an id of its own.

        Args:
            method: its name.
            params: a mapping or a list; left out when None.
            timeout: seconds; `request_timeout` when None.

        Returns:
            The response's `result`.

        Raises:
            JsonRpcError: the server answered with an error.
            SendError: as for `send_message`.
            ConfigError: not sent: the timeout is negative, or no finite number.
        """
        request_id = self._requests.new_id()
        try:
            limit = self.config.request_timeout
            if timeout is not None:
                check_number("timeout", timeout, above_zero=False)
                limit = timeout
            try:
                ready = outgoing_call(method, params, request_id)
            finally:
                del params  # as above
            response = await self._sender.exchange(ready, request_id, limit)
            return result_of(response, self.config.venue.temporary)
        except Exception:
            await checkpoint()  # see `fairness`
            raise

    # subscribing

    @yields_before_raising
    async def subscribe(self, channels: str | Iterable[str]) -> None:
        """
        Subscribe to channels, in the way of the client's `venue`; returns when the venue has
        confirmed all of them.

        A channel that several users subscribe to is asked for once, and stays until each has
        unsubscribed. What was confirmed is restored after a reconnect, before the client counts
        as connected again (unless `restore_subscriptions=False`).

        Args:
            channels: one, or several; naming one twice is naming it once.

        Raises:
            SubscriptionRejectedError: the venue refused some; the others are subscribed.
            NotConnectedError: not sent: there is no connection at this moment.
            RateLimitedError: not sent: the limiter has no room within `request_timeout`.
            RequestTimeoutError: not confirmed within `request_timeout` seconds.
            DisconnectedError: the connection dropped before the venue confirmed.
            BackpressureError: the answer cannot be read, see `send_message`.
            TypeError: a channel is no str.

        With any other error than the first, and when cancelled, none of the channels counts as
        subscribed by this call; what the venue confirms too late is undone.
        """
        await checkpoint()
        names = channel_names(channels)
        await self._subscriptions.add(
            self._sender.dialogue(), names, self.config.request_timeout
        )

    @yields_before_raising
    async def unsubscribe(self, channels: str | Iterable[str]) -> None:
        """
        Undo one `subscribe` for each channel; returns when the venue has confirmed the removal
        of those that nobody else has subscribed to.

        Channels that are not subscribed are passed over. Without a connection they are only
        taken from what is restored.

        Args:
            channels: one, or several.

        Raises:
            RateLimitedError: not sent: the limiter has no room within `request_timeout`.
            RequestTimeoutError: not confirmed within `request_timeout` seconds.
            DisconnectedError: the connection dropped, and the channels with it.
            BackpressureError: the answer cannot be read, see `send_message`.
            NotConnectedError: the same, before it was sent.
            TypeError: a channel is no str.

        Cancelled before all of it is sent, it undoes only what was sent; after that, the
        channels are removed.
        """
        await checkpoint()
        names = channel_names(channels)
        await self._subscriptions.remove(
            self._sender.own_dialogue(), names, self.config.request_timeout
        )

    # receiving

    def __aiter__(self) -> Listener:
        """
        Iterate over the events; needs a client without a handler.

        Lives across reconnects. Ends after `close`, or, with `reconnect_on_error=False`, after
        the peer closed cleanly; raises what the client failed with for good.

        Raises:
            RuntimeError: the client has a handler, which takes the events; or another event
                loop runs it.
        """
        self.life.home.check()
        if self._handler is not None:
            msg = f"{self.name} has a handler, which takes its events: iterate without one"
            raise RuntimeError(msg)
        return Listener(self.inbox)

    async def _take_events(self) -> None:
        """Give an async handler one event after the other."""
        assert self._handler is not None
        try:
            async for event in Listener(self.inbox):
                await self._handler(event)
        except BaseException as exc:  # noqa: BLE001 - a user's code; it reaches the owner
            self._crash_by_handler(crash_of(exc, self._handler, in_own_task=True))

    def _handler_failed(self, error: BaseException) -> None:
        self._crash_by_handler(crash_of(error, self._handler, is_sync=True))

    def _crash_by_handler(self, error: BaseException) -> None:
        # While the client is closed, a send of the handler fails because of that: no defect.
        if not (self.life.stopping and isinstance(error, SendError)):
            self.life.crash(error)

    def _overflowed(self, unit: str) -> None:
        size = self.config.inbox_size if unit == "events" else self.config.inbox_bytes
        self.life.crash(InboxOverflowError(self.name, size, unit))

    def _starve(self, make_error: Callable[[], Exception]) -> None:
        self._requests.fail_users(make_error)
        self._subscriptions.starve(make_error)

    def retire(self) -> None:
        """Let iterations end after what has arrived: nobody will run it again."""
        self.inbox.end(None)

    # what life tells

    def _lost(self, make_error: Callable[[], Exception]) -> int:
        self._subscriptions.lost(make_error)
        return self._sender.fail_all(make_error)

    def _over(self, error: Exception | None) -> None:
        if self._handler is not None or not self.supervised:
            self.inbox.end(error if self._handler is None else None)
