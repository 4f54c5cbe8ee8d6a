"""A response meets its request by id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from wsfleet.errors import DuplicateRequestIdError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .clock import Waiter

RequestId: TypeAlias = int | str | float


class Correlation:
    """The requests in flight on one client."""

    __slots__ = ("_client", "_last_id", "waiting")

    def __init__(self, client: str) -> None:
        self._client = client
        self.waiting: dict[RequestId, Waiter] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self.waiting)

    def __contains__(self, request_id: object) -> bool:
        return request_id in self.waiting

    def new_id(self) -> int:
        """Return an id that no request in flight has."""
        self._last_id += 1
        while self._last_id in self.waiting:
            self._last_id += 1
        return self._last_id

    def add(self, request_id: RequestId, waiter: Waiter) -> None:
        """
        Await a response.

        Raises:
            DuplicateRequestIdError: one with that id is awaited already.
        """
        if request_id in self.waiting:
            raise DuplicateRequestIdError(self._client, request_id)
        self.waiting[request_id] = waiter

    def remove(self, request_id: RequestId, waiter: Waiter) -> None:
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

    def fail_all(self, make_error: Callable[[], Exception]) -> int:
        """
        Give every waiting caller an error of its own, at once; return how many there were.
        """
        failed = list(self.waiting.values())
        self.waiting.clear()  # the same dict: others look into it
        for waiter in failed:
            waiter.set(make_error())
        return len(failed)
