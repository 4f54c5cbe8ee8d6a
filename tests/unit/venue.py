"""A venue in the hand: answers subscriptions and logins over the network in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.unit.fakes import FakeNetwork, FakeServer


class FakeVenue:
    """
    Answers as plain JSON-RPC servers do, or as the test wants.

    Attributes:
        calls: the methods that were called, in order, each with its params.
        unknown: channels that do not exist.
        nulls: whether results come with an error that is null.
        held: answers that wait for `release`, where `hold` is set.
        refusals: errors for the next calls of a method.
    """

    def __init__(self, network: FakeNetwork, url: str = "ws://fake/") -> None:
        self.server: FakeServer = network.server(url)
        self.server.answer = self._on_request
        self.calls: list[tuple[str, Any]] = []
        self.unknown: set[str] = set()
        self.refusals: dict[str, list[dict[str, Any]]] = {}
        self.results: dict[str, Any] = {}
        self.nulls = False
        self.hold = False
        self.held: list[dict[str, Any]] = []
        self.mute: set[str] = set()

    def methods(self) -> list[str]:
        """Return the names of what was called."""
        return [method for method, _ in self.calls]

    def channels(self, method: str = "subscribe") -> list[list[str]]:
        """Return the channels of each call of a method."""
        return [params["channels"] for called, params in self.calls if called == method]

    def release(self) -> None:
        """Send the answers that were held."""
        self.hold = False
        while self.held:
            self.server.link.send(self.held.pop(0))

    def _on_request(self, request: dict[str, Any]) -> None:
        method, params = request["method"], request.get("params")
        self.calls.append((method, params))
        if method in self.mute:
            return
        answer = {"id": request["id"], **self._answer(method, params)}
        if self.nulls:
            answer.setdefault("error", None)
        if self.hold:
            self.held.append(answer)
        else:
            self.server.link.send(answer)

    def _answer(self, method: str, params: Any) -> dict[str, Any]:
        if self.refusals.get(method):
            return {"error": self.refusals[method].pop(0)}
        if method in self.results:
            return {"result": self.results[method]}
        if isinstance(params, dict) and "channels" in params:
            return {"result": [name for name in params["channels"] if name not in self.unknown]}
        return {"result": "ok"}
