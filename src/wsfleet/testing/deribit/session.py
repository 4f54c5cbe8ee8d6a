"""
One connection to the mock venue: what it may do, and what it gets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wsfleet.testing.sessions import MockSession

from .heartbeats import Heartbeats
from .methods import METHODS, NO_ANSWER
from .rpc import RpcError, answer, id_of, json_object, microseconds, request_of, unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wsfleet.testing.messages import Payload, Reply
    from wsfleet.testing.sessions import MockConnection

    from .channels import Channels
    from .credits import Account
    from .heartbeats import Pace
    from .methods import Method
    from .orders import Orders
    from .rpc import Params, Request
    from .tokens import Token, Tokens


@dataclass(slots=True)
class Venue:
    """What all connections share: one account at one exchange."""

    tokens: Tokens
    account: Account
    channels: Channels
    pace: Pace
    orders: Orders
    methods: Mapping[str, Callable[[Mapping[str, Any]], Any]]
    cancel_on_disconnect: bool = False
    sessions: list[DeribitSession] = field(default_factory=list)


class DeribitSession(MockSession):
    """The state of one connection to a `MockDeribit`; tests read it."""

    def __init__(self, connection: MockConnection, venue: Venue) -> None:
        super().__init__(connection)
        self.venue: Venue = venue
        self.heartbeats: Heartbeats = Heartbeats(connection, venue.pace)
        self.subscribed: set[str] = set()
        self.token: Token | None = None
        self.client_name: str = ""
        """What it said in `public/hello`."""
        self.cancel_on_disconnect: bool = venue.cancel_on_disconnect
        """Whether the orders of this connection are cancelled when it is lost."""
        venue.sessions.append(self)

    def __repr__(self) -> str:
        who = "authenticated" if self.authenticated else "anonymous"
        return f"<DeribitSession {who} {sorted(self.channels)}>"

    @property
    def authenticated(self) -> bool:
        """Whether it is logged in, with a token that has not expired."""
        return self.token is not None and self.token.is_fresh

    @property
    def channels(self) -> frozenset[str]:
        """What it is subscribed to."""
        return frozenset(self.subscribed.copy())

    @property
    def heartbeat_interval(self) -> float | None:
        """The interval that it set, in the venue's seconds; None without a heartbeat."""
        return self.heartbeats.interval

    def on_message(self, message: Payload) -> Reply:
        """Answer a request, whatever it is."""
        came = microseconds()
        ident: dict[str, Any] = {}
        try:
            fields = json_object(message)
            ident = id_of(fields)
            result = self._perform(request_of(fields))
        except RpcError as error:
            if not error.closes:
                return answer(came, ident, error=error.body)
            self.connection.send(answer(came, ident, error=error.body))
            self.connection.close()
            return None
        return None if result is NO_ANSWER else answer(came, ident, result=result)

    def on_close(self) -> None:
        """Forget the connection, as the venue does."""
        self.heartbeats.stop()
        self.venue.tokens.forget(self)
        if self.cancel_on_disconnect:
            self.venue.orders.cancel_those_of(self)
        self.venue.sessions.remove(self)  # last: who sees it gone may count on all of this

    def _perform(self, request: Request) -> Any:
        method = self._find(request.method)
        self.venue.account.charge(request.method)
        if request.method.startswith("private/") and not self._may(request.params):
            raise unauthorized()
        return method(self, request.params)

    def _find(self, name: str) -> Method:
        if (answer := self.venue.methods.get(name)) is not None:
            return lambda _, params: answer(params.values)
        if (method := METHODS.get(name)) is not None:
            return method
        raise RpcError(-32601, "Method not found")

    def _may(self, params: Params) -> bool:
        """Tell whether a private request is allowed, by its own token or the connection's."""
        if "access_token" not in params:
            return self.authenticated
        token = self.venue.tokens.find(params.text("access_token"))
        return token is not None and token.is_fresh
