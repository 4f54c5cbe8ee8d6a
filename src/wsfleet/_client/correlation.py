"""A response meets its request by id."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from wsfleet.errors import DuplicateRequestIdError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .reading import Reading

RequestId: TypeAlias = int | str | float

OWN: Final = "wsfleet-"
"""What the ids of wsfleet's own requests begin with."""


class Awaiting(Protocol):
    """What takes a response, or the error that ends the waiting."""

    def set(self, value: object) -> None:
        """Take it."""


class Correlation:
    """The requests in flight on one client, those that wsfleet itself makes included."""

    __slots__ = (
        "_asking",
        "_last_id",
        "_own",
        "_own_ids",
        "asked",
        "client",
        "held",
        "waiting",
    )

    def __init__(self, client: str) -> None:
        self.client: str = client
        self.asked: bool = False  # whether wsfleet made requests of its own
        self.waiting: dict[RequestId, Awaiting] = {}
        self.held: Reading | None = None  # set while the inbox is full
        self._asking = 0
        self._own = 0
        self._own_ids = itertools.count(1)
        self._last_id = 0

    def __len__(self) -> int:
        """Return how many a user awaits."""
        return len(self.waiting) - self._own

    def __contains__(self, request_id: object) -> bool:
        return request_id in self.waiting

    @property
    def awaited(self) -> bool:
        """Whether a user, or wsfleet itself, awaits an answer at this moment."""
        return self._asking > 0 or len(self.waiting) > self._own

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Await an answer to what wsfleet itself asks, for the length of a block."""
        self._asking += 1
        try:
            if self.held is not None:
                self.held.read_on()
            yield
        finally:
            self._asking -= 1

    def refuse_unreadable(self) -> None:
        """
        Refuse what a user asks where its answer could not be read.

        Raises:
            BackpressureError: the inbox has more than `inbox_bytes`.
        """
        if self.held is not None:
            self.held.refuse()

    def new_id(self) -> int:
        """Return an id that no request in flight has."""
        self._last_id += 1
        while self._last_id in self.waiting:
            self._last_id += 1
        return self._last_id

    def add(self, request_id: RequestId, waiter: Awaiting) -> None:
        """
        Await a response.

        Raises:
            DuplicateRequestIdError: one with that id is awaited already.
            BackpressureError: the response could not be read.
        """
        if request_id in self.waiting:
            raise DuplicateRequestIdError(self.client, request_id)
        if self.held is None:
            self.waiting[request_id] = waiter
            return
        self.held.refuse()
        self.waiting[request_id] = waiter
        self.held.read_on()

    def new_own_id(self) -> str:
        """
        Return an id for a request of wsfleet's own; its text keeps it apart from those that
        users choose.
        """
        self.asked = True
        return f"{OWN}{next(self._own_ids)}"

    def add_own(self, request_id: str, take: Callable[[object], None]) -> None:
        """
        Await a response to a request of wsfleet's own; it counts for no user.

        Args:
            request_id: its id.
            take: called with the response, or with the error that ends the waiting.
        """
        self._own += 1
        self.waiting[request_id] = _Own(self, take)

    def drop_own(self, request_id: str | None) -> None:
        """
        Await a request of wsfleet's own no longer; a late response to it is still known by its
        id, and delivered to nobody.

        Args:
            request_id: its id; one that is not awaited, and None, change nothing.
        """
        if request_id is not None and self.waiting.pop(request_id, None) is not None:
            self._own -= 1

    @staticmethod
    def is_own(request_id: object) -> bool:
        """Whether an id is that of a request of wsfleet's own, awaited or not."""
        return isinstance(request_id, str) and request_id.startswith(OWN)

    def own_is_over(self) -> None:
        """Count one request of wsfleet's own less."""
        self._own -= 1

    def remove(self, request_id: RequestId, waiter: Awaiting) -> None:
        """Await it no longer; a later request with the same id stays."""
        if self.waiting.get(request_id) is waiter:
            del self.waiting[request_id]

    def resolve(self, request_id: object, response: dict[str, Any]) -> bool:
        """Give a response to who awaits it; False when nobody does."""
        # An id of another type (a list, say) is not even hashable.
        if type(request_id) not in (int, str, float):
            return False
        waiter = self.waiting.pop(request_id, None)  # type: ignore[call-overload]
        if waiter is None:
            return False
        waiter.set(response)
        return True

    def fail_users(self, make_error: Callable[[], Exception]) -> None:
        """Give every user that awaits a response an error of its own, at once."""
        found = [
            (request_id, waiter)
            for request_id, waiter in self.waiting.items()
            if not isinstance(waiter, _Own)
        ]
        for request_id, _ in found:
            del self.waiting[request_id]
        for _, waiter in found:
            waiter.set(make_error())

    def fail_all(self, make_error: Callable[[], Exception]) -> int:
        """
        Give every waiting caller an error of its own, at once; return how many users there
        were.
        """
        users = len(self)
        failed = list(self.waiting.values())
        self.waiting.clear()  # the same dict: others look into it
        for waiter in failed:
            waiter.set(make_error())
        return users


class _Own:
    """Awaits a response for wsfleet."""

    __slots__ = ("_requests", "_take")

    def __init__(self, requests: Correlation, take: Callable[[object], None]) -> None:
        self._requests = requests
        self._take = take

    def set(self, value: object) -> None:
        self._requests.own_is_over()
        self._take(value)
