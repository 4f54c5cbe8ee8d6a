"""
Deribit (docs.deribit.com, version 2 of its API).

Limits and error codes: support.deribit.com, "Rate Limits", and docs.deribit.com, "Error codes".
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from wsfleet._client.heartbeats import JsonRpcHeartbeat
from wsfleet._client.limits import TokenBucket
from wsfleet._client.messages import method_of
from wsfleet._client.split import SplitLimiter
from wsfleet._client.venue import Batch, Grant, Login, Venue, json_rpc_ack, json_rpc_batches
from wsfleet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from wsfleet._client.venue import Call

TEMPORARY: Final = frozenset(
    {
        10028,  # too_many_requests
        10040,  # retry
        10041,  # settlement_in_progress
        10047,  # matching_engine_queue_full
        10066,  # too_many_concurrent_requests
        11051,  # system_maintenance
        11094,  # internal_server_error
        13028,  # temporarily_unavailable
        13888,  # timed_out
    }
)
"""Errors after which the same call may succeed later."""

SHORTEST_HEARTBEAT: Final = 10.0
"""Seconds; Deribit refuses shorter intervals."""

MARGIN: Final = 0.8
"""Share of each burst that is used: on its way, what was sent apart arrives together."""

_SUBSCRIBING: Final = frozenset({"public/subscribe", "private/subscribe"})
_ORDERING: Final = frozenset(
    {
        "private/buy",
        "private/sell",
        "private/edit",
        "private/edit_by_label",
        "private/close_position",
        "private/mass_quote",
        "private/cancel",
        "private/cancel_all",
        "private/cancel_all_by_currency",
        "private/cancel_all_by_instrument",
        "private/cancel_all_by_kind_or_type",
        "private/cancel_by_label",
        "private/cancel_quotes",
        "private/execute_block_trade",
        "private/verify_block_trade",
    }
)
"""What goes to the matching engine, which counts apart."""


def deribit(
    *,
    client_id: str | None = None,
    client_secret: str | None = None,
    session: str | None = None,
    cancel_on_disconnect: bool = False,
    heartbeat_interval: float = 30.0,
    login_timeout: float = 5.0,
    batch_size: int = 100,
) -> Venue:
    """
    Return Deribit's profile.

    With credentials, each connection logs in before anything else and renews its login before
    it expires; a refused login ends the client. Channels that begin with "user." are subscribed
    privately.

    Args:
        client_id: the API key's id.
        client_secret: its secret; never shown.
        session: names a session that outlives its connections: later ones log in with its
            refresh token. Without a name a login ends with its connection, and the secret is
            sent again.
        cancel_on_disconnect: whether orders of a connection are cancelled when it drops; needs
            credentials.
        heartbeat_interval: seconds between the venue's heartbeats, 10 or more.
        login_timeout: seconds for the answer to a login.
        batch_size: channels to ask for with one call.

    Raises:
        ConfigError: an argument can never work, or half of the credentials is missing.
    """
    if (client_id is None) != (client_secret is None):
        raise ConfigError("client_id", "and client_secret must be given together")
    if cancel_on_disconnect and client_id is None:
        raise ConfigError("cancel_on_disconnect", "needs client_id and client_secret")
    if heartbeat_interval < SHORTEST_HEARTBEAT:
        raise ConfigError(
            "heartbeat_interval", f"must be {SHORTEST_HEARTBEAT:g} seconds or more on Deribit"
        )
    login = None
    if client_id is not None and client_secret is not None:
        login = _login(client_id, client_secret, session, login_timeout)
    return Venue(
        name="deribit",
        subscribe=partial(_batches, "subscribe"),
        unsubscribe=partial(_batches, "unsubscribe", removes=True),
        read_ack=partial(json_rpc_ack, temporary=TEMPORARY),
        batch_size=batch_size,
        login=login,
        calls=(_CANCEL_ON_DISCONNECT,) if cancel_on_disconnect else (),
        heartbeat=JsonRpcHeartbeat(interval=heartbeat_interval),
        limiter=deribit_limiter,
        temporary=TEMPORARY,
    )


def deribit_limiter() -> SplitLimiter:
    """
    Return a limiter that keeps one account within Deribit's limits: 20 requests per second
    after a burst of 100, 10 in a burst and 3.3 per second that subscribe, 20 in a burst and 5
    per second that place or cancel orders (the lowest tier), each with a margin.

    Each client with Deribit's profile has one of its own. The limits are the account's: clients
    of one account should share one, as `limiter=`.
    """
    return SplitLimiter(
        {
            "requests": TokenBucket(100 * MARGIN, 20),
            "subscribe": TokenBucket(10 * MARGIN, 10 / 3),
            "orders": TokenBucket(20 * MARGIN, 5),
        },
        _kind_of,
        default="requests",
    )


def _kind_of(message: Any) -> str:
    method = method_of(message)
    if method in _SUBSCRIBING:
        return "subscribe"
    return "orders" if method in _ORDERING else "requests"


_CANCEL_ON_DISCONNECT: Final[Call] = {
    "jsonrpc": "2.0",
    "method": "private/enable_cancel_on_disconnect",
    "params": {"scope": "connection"},
}


def _batches(verb: str, channels: Sequence[str], *, removes: bool = False) -> Iterable[Batch]:
    private = [name for name in channels if name.startswith("user.")]
    public = [name for name in channels if not name.startswith("user.")]
    for scope, names in (("public", public), ("private", private)):
        if names:
            yield from json_rpc_batches(f"{scope}/{verb}", removes=removes)(names)


def _login(client_id: str, client_secret: str, session: str | None, timeout: float) -> Login:
    credentials = {"client_id": client_id, "client_secret": client_secret}
    if session is not None:
        credentials["scope"] = f"session:{session}"

    def request(grant: Grant | None) -> Call:
        if grant is not None:
            return _auth(grant_type="refresh_token", refresh_token=grant.refresh_token)
        return _auth(grant_type="client_credentials", **credentials)

    read = partial(_granted, portable=session is not None)
    return Login(request=request, read=read, timeout=timeout)


def _auth(**params: Any) -> Call:
    return {"jsonrpc": "2.0", "method": "public/auth", "params": params}


def _granted(response: Mapping[str, Any], *, portable: bool) -> Grant:
    result = response.get("result")
    known = result if isinstance(result, dict) else {}
    token, seconds = known.get("refresh_token"), known.get("expires_in")
    return Grant(
        refresh_token=token if isinstance(token, str) else None,
        expires_in=seconds,
        portable=portable,
    )
