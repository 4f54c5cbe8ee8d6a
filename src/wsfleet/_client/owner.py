"""Whose life is lived: what `life` calls of a client, and nothing else of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from wsfleet._wire.connection import Sink

    from .callbacks import Callback
    from .correlation import Correlation
    from .events import Gap
    from .limits import Limiter
    from .preparation import Preparation
    from .recorder import Recorder


class Owner(NamedTuple):
    """
    Whose life it is.

    Attributes:
        client: given to the callbacks.
        sink: takes what arrives.
        requests: those in flight.
        limiter: what messages pass on their way out, or None.
        preparation: what a new connection needs before it can be used.
        channels: names what is subscribed.
        await_gap: takes what tells, before the next event, what was missed; None for nothing.
        tell_gap: called when a connection is ready: it is to be told now, if it was not yet.
        lost: called at each loss with what makes its error; fails the waiting callers and says
            how many.
        over: called when the life ended by itself, with what ended it for good.
        forget: called when a life begins that goes on from none before.
        worker: a task that lives beside it and takes events, or None.
        on_connect: told of each connection gained.
        on_disconnect: told of each connection lost.
        recorder: writes down what passes, or None.
    """

    client: object
    sink: Sink
    requests: Correlation
    limiter: Limiter | None
    preparation: Preparation
    channels: Callable[[], tuple[str, ...]]
    await_gap: Callable[[Callable[[], Gap] | None], None]
    tell_gap: Callable[[], None]
    lost: Callable[[Callable[[], Exception]], int]
    over: Callable[[Exception | None], None]
    forget: Callable[[], None]
    worker: Callable[[], Coroutine[Any, Any, None]] | None
    on_connect: Callback | None
    on_disconnect: Callback | None
    recorder: Recorder | None = None
