"""
`MockDeribit`: a whole venue in a test, with the strictness of the real one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wsfleet.testing.server import MockServer

from .channels import Channels
from .credits import Account, DeribitLimits
from .heartbeats import Pace
from .orders import Orders
from .rpc import notification
from .session import DeribitSession, Venue
from .tokens import Tokens

if TYPE_CHECKING:
    import ssl as tls
    from collections.abc import Callable, Collection, Mapping

    from wsfleet.testing.sessions import MockConnection

    from .orders import MockOrder

MAX_CONNECTIONS: Final = 32
TOKEN_LIFETIME: Final = 900.0
VENUE_LIMITS: Final = DeribitLimits()


class MockDeribit(MockServer):
    """
    A server that speaks JSON-RPC 2.0 as Deribit does, and enforces what Deribit enforces.

    It closes connections that leave a test request unanswered, refuses private methods and
    channels before the login, answers 10028 and closes beyond the rate, cancels orders on
    disconnect where asked to, and refuses the 33rd connection with HTTP 429.

    Args:
        client_id: who may log in.
        client_secret: with what secret.
        channels: the channels that exist; None for every name of the venue's families. Others
            are left out of the answer to a subscription, in silence.
        token_lifetime: after how many seconds a login expires; `expires_in` says the same.
        heartbeat_scale: seconds that pass here for each second of a heartbeat's interval; with
            0.01 a heartbeat every ten seconds comes every tenth of one.
        heartbeat_grace: within how many seconds `public/test` must answer a test request; None
            for one interval, scaled.
        limits: what may be asked in what time; None for as much as you like.
        max_connections: how many may be open at once.
        methods: answers of yours to methods that are not here, by name: each is given the
            request's `params` and returns the result, on the server's own thread. Limits and
            logins hold for them, too.
        ssl: True for TLS with a certificate made on the spot, or a context of your own.
    """

    def __init__(
        self,
        *,
        client_id: str = "mock-id",
        client_secret: str = "mock-secret",  # noqa: S107  guards nothing
        channels: Collection[str] | None = None,
        token_lifetime: float = TOKEN_LIFETIME,
        heartbeat_scale: float = 1.0,
        heartbeat_grace: float | None = None,
        limits: DeribitLimits | None = VENUE_LIMITS,
        max_connections: int | None = MAX_CONNECTIONS,
        methods: Mapping[str, Callable[[Mapping[str, Any]], Any]] | None = None,
        ssl: bool | tls.SSLContext = False,
    ) -> None:
        super().__init__(session=self._open, max_connections=max_connections, ssl=ssl)
        self.client_id: str = client_id
        self.client_secret: str = client_secret
        self._venue = Venue(
            Tokens(client_id, client_secret, token_lifetime),
            Account(limits),
            Channels(channels),
            Pace(heartbeat_scale, heartbeat_grace),
            Orders(),
            methods or {},
        )

    @property
    def sessions(self) -> list[DeribitSession]:
        """The state of each open connection, the oldest first."""
        return self._venue.sessions.copy()

    @property
    def orders(self) -> list[MockOrder]:
        """Every order ever placed, in order, with its state of this moment."""
        return list(self._venue.orders.by_id.values())

    @property
    def logins(self) -> int:
        """How many logins with credentials succeeded."""
        return self._venue.tokens.logins

    @property
    def refreshes(self) -> int:
        """How many logins with a refresh token succeeded."""
        return self._venue.tokens.refreshes

    async def publish(self, channel: str, data: Any) -> int:
        """Send data to the connections subscribed to the channel; return how many there are."""
        return await self._loop.call(self._publish, channel, data)

    async def test_request(self) -> None:
        """
        Ask every open connection whether it is alive, with or without a heartbeat.

        Raises:
            TimeoutError: nobody was connected within a second.
        """
        await self.wait_until(lambda: self._venue.sessions)
        await self._loop.call(self._ask_all)

    async def expire_tokens(self) -> None:
        """Let every login expire now; refresh tokens are good still."""
        await self._loop.call(self._expire)

    def _open(self, connection: MockConnection) -> DeribitSession:
        return DeribitSession(connection, self._venue)

    async def _publish(self, channel: str, data: Any) -> int:
        message = notification("subscription", {"channel": channel, "data": data})
        there = [each for each in self._venue.sessions if channel in each.subscribed]
        for session in there:
            session.connection.send(message)
        return len(there)

    async def _ask_all(self) -> None:
        for session in self._venue.sessions:
            session.heartbeats.ask()

    async def _expire(self) -> None:
        self._venue.tokens.expire_all()
