"""What a server answered, and what ended a client, a pool or a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .base import WsfleetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_MOST: Final = 1000
"""Characters of a server's message that an error shows."""


class JsonRpcError(WsfleetError):
    """
    The server answered a request with an error (JSON-RPC 2.0 section 5.1).

    Attributes:
        code: the error's number; 0 where the server gave none, or one that is no integer.
        message: its short description.
        data: whatever else the server said, or None; the whole error object where its `code` is
            no integer or its `message` no text.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(code, message, data)
        self.code = code
        self.message = message
        self.data = data

    def __str__(self) -> str:
        message = str(self.message)
        shown = message if len(message) <= _MOST else f"{message[:_MOST]}..."
        return f"the server answered with error {self.code}: {shown}"


class SubscriptionRejectedError(WsfleetError):
    """
    The venue refused channels; those that it took with the same call stay subscribed.

    Attributes:
        client: whose channels they are.
        rejected: each refused channel with the venue's words.
        confirmed: the channels of the call that are subscribed.
    """

    def __init__(
        self, client: str, rejected: Mapping[str, str], confirmed: Sequence[str] = ()
    ) -> None:
        super().__init__(client, rejected, confirmed)
        self.client = client
        self.rejected: dict[str, str] = dict(rejected)
        self.confirmed: tuple[str, ...] = tuple(confirmed)

    def __str__(self) -> str:
        refused = "; ".join(f"{channel}: {why}" for channel, why in self.rejected.items())
        kept = f"; subscribed: {', '.join(self.confirmed)}" if self.confirmed else ""
        return f"{self.client} was refused {refused}{kept}: correct the names, or log in"


class InboxOverflowError(WsfleetError):
    """
    Events came faster than they were taken, and `overflow="fail"` asks to fail then.

    Attributes:
        client: the client's name.
        size: how much its inbox holds.
        unit: "events" (`inbox_size`) or "bytes" (`inbox_bytes`).
    """

    recoverable: bool = True

    def __init__(self, client: str, size: int, unit: str = "events") -> None:
        super().__init__(client, size, unit)
        self.client = client
        self.size = size
        self.unit = unit

    def __str__(self) -> str:
        return (
            f"the inbox of {self.client} was full ({self.size} {self.unit}): take events "
            "faster, or choose another inbox_size, inbox_bytes or overflow policy"
        )


class UnreadableAnswerError(WsfleetError):
    """
    The server answered, but a function of the venue's profile failed to read the answer;
    whether the server did what it was asked is unknown.

    What the function raised is its `__cause__`.

    Attributes:
        client: the client's name.
        function: the function's name.
    """

    recoverable: bool = True

    def __init__(self, client: str, function: str) -> None:
        super().__init__(client, function)
        self.client = client
        self.function = function

    def __str__(self) -> str:
        return (
            f"{self.client}: {self.function} failed to read the server's answer, whose outcome "
            "is unknown: correct that function (see the cause)"
        )


class StrayCancellationError(WsfleetError):
    """
    User code let out a cancellation that nobody had asked for: it awaited a task or a future
    that was cancelled, cancelled its own task, or raised `CancelledError` itself.

    What it let out is its `__cause__`. It is a crash like any other error of user code.

    Attributes:
        function: the name of the function.
    """

    def __init__(self, function: str) -> None:
        super().__init__(function)
        self.function = function

    def __str__(self) -> str:
        return (
            f"{self.function} let out a cancellation though nobody had cancelled it: it "
            "awaited something that was cancelled; catch that there"
        )


class RecordingError(WsfleetError):
    """
    A line of a recording cannot be read, and no crash explains it.

    Attributes:
        path: the file.
        line: its number, from 1.
        problem: what is wrong with it, in words.
    """

    def __init__(self, path: str, line: int, problem: str) -> None:
        super().__init__(path, line, problem)
        self.path = path
        self.line = line
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}: {self.problem}"


class RestartLimitError(WsfleetError):
    """
    Clients crashed more often than the supervisor tolerates; all of them were stopped.

    The last crash is its `__cause__`.

    Attributes:
        client: the name of the one that crashed last.
        max_restarts: crashes that are tolerated within `max_seconds`.
        max_seconds: the length of that window.
    """

    def __init__(self, client: str, max_restarts: int, max_seconds: float) -> None:
        super().__init__(client, max_restarts, max_seconds)
        self.client = client
        self.max_restarts = max_restarts
        self.max_seconds = max_seconds

    def __str__(self) -> str:
        return (
            f"more than {self.max_restarts} crashes within {self.max_seconds:g} s, the last of "
            f"{self.client}: its handler raised (see the cause): correct it"
        )
