"""
Yields to the event loop: before an error of a public method, and between sends that never wait.

Rule 1: each public async method lets the event loop run before it raises, so that no loop that
tries again at once can stop the other tasks.
Rule 2: tasks that send without waiting share one budget for each event loop, whatever the
number of their clients.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

_P = ParamSpec("_P")
_R = TypeVar("_R")

MESSAGE: Final = 4096
"""What a message takes from a budget, beside its bytes: about the bytes that take as long."""

DEFLATED: Final = 10
"""What a byte takes that is compressed first: 24 ns, where masking in C takes 0.1."""

BURST: Final = 64
"""Messages, and events of an iteration, within which the event loop gets its turn."""

BUDGET: Final = (BURST - 1) * MESSAGE
"""What can be sent between two turns: 63 messages, or 252 KiB; well below a millisecond."""


class SendBudget:
    """
    What can still be sent before the event loop gets its turn.

    Attributes:
        left: bytes; 0 or less where the event loop has to run first.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left: int = BUDGET

    async def renew(self) -> None:
        """Let the event loop run, and begin again. Cancelling it changes nothing."""
        await checkpoint()
        self.left = BUDGET


class _Shared(threading.local):
    def __init__(self) -> None:
        self.budget = SendBudget()


_shared: Final = _Shared()


def running_budget() -> SendBudget:
    """Return the budget that all clients of this thread's event loop share."""
    return _shared.budget


def yields_before_raising(
    method: Callable[_P, Awaitable[_R]],
) -> Callable[_P, Coroutine[Any, Any, _R]]:
    """
    Return an async method that lets the event loop run before it raises; see rule 1.

    Where each call is to be as cheap as can be, the method does that itself.
    """

    @functools.wraps(method)
    async def yielding(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return await method(*args, **kwargs)
        except Exception:
            del args, kwargs  # tracebacks may show local variables
            await checkpoint()
            raise

    return yielding
