"""Whose life is lived: what `life` calls of a client, and nothing else of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .callbacks import Callback
    from .channels import Channels
    from .correlation import Correlation
    from .delivery import Delivery
    from .limits import Limiter
    from .preparation import Preparation
    from .recorder import Recorder


class Owner(NamedTuple):
    """
    Whose life it is.

    Attributes:
        client: given to the callbacks.
        delivery: takes what arrives, and tells what was missed.
        requests: those in flight.
        limiter: what messages pass on their way out, or None.
        preparation: what a new connection needs before it can be used.
        channels: those that are subscribed.
        lost: called at each loss with what makes its error; fails the waiting callers and says
            how many.
        over: called when the life ended by itself, with what ended it for good.
        worker: a task that lives beside it and takes events, or None.
        on_connect: told of each connection gained.
        on_disconnect: told of each connection lost.
        recorder: writes down what passes, or None.
    """

    client: object
    delivery: Delivery
    requests: Correlation
    limiter: Limiter | None
    preparation: Preparation
    channels: Channels
    lost: Callable[[Callable[[], Exception]], int]
    over: Callable[[Exception | None], None]
    worker: Callable[[], Coroutine[Any, Any, None]] | None
    on_connect: Callback | None
    on_disconnect: Callback | None
    recorder: Recorder | None = None
