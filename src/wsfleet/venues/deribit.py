"""
Deribit (docs.deribit.com, version 2 of its API).

Limits and error codes: support.deribit.com, "Rate Limits", and docs.deribit.com, "Error codes".
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from wsfleet._client.heartbeats import JsonRpcHeartbeat
from wsfleet._client.limits import TokenBucket
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

BURST: Final = 100.0
"""Requests that may be sent at once."""

RATE: Final = 20.0
"""Requests per second in the long run."""

SUBSCRIBE_COST: Final = 10.0
"""What a call that subscribes counts for: ten of them may be sent at once."""

_SUBSCRIBING: Final = ("public/subscribe", "private/subscribe")


def deribit(
    *,
    client_id: str | None = None,
    client_secret: str | None = None,
    cancel_on_disconnect: bool = False,
    heartbeat_interval: float = 30.0,
    login_timeout: float = 5.0,
    batch_size: int = 100,
) -> Venue:
    """
    Return Deribit's profile.

    With credentials, each connection logs in before anything else, with the refresh token of
    the last login where there is one, and renews the login before it expires; a refused login
    ends the client. Channels that begin with "user." are subscribed privately.

    Args:
        client_id: the API key's id.
        client_secret: its secret; never shown.
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
        login = _login(client_id, client_secret, login_timeout)
    return Venue(
        name="deribit",
        subscribe=partial(_batches, "subscribe"),
        unsubscribe=partial(_batches, "unsubscribe", removes=True),
        read_ack=partial(json_rpc_ack, temporary=TEMPORARY),
        batch_size=batch_size,
        login=login,
        calls=(_CANCEL_ON_DISCONNECT,) if cancel_on_disconnect else (),
        heartbeat=JsonRpcHeartbeat(interval=heartbeat_interval),
        limiter=_limiter,
        temporary=TEMPORARY,
    )


def cost(message: Any) -> float:
    """Return what a message counts for in Deribit's limit, in requests."""
    method = message.get("method") if isinstance(message, dict) else None
    return SUBSCRIBE_COST if method in _SUBSCRIBING else 1.0


def _limiter() -> TokenBucket:
    return TokenBucket(BURST, RATE, cost)


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


def _login(client_id: str, client_secret: str, timeout: float) -> Login:
    def request(grant: Grant | None) -> Call:
        if grant is not None:
            return _auth(grant_type="refresh_token", refresh_token=grant.refresh_token)
        return _auth(
            grant_type="client_credentials", client_id=client_id, client_secret=client_secret
        )

    return Login(request=request, read=_granted, timeout=timeout)


def _auth(**params: Any) -> Call:
    return {"jsonrpc": "2.0", "method": "public/auth", "params": params}


def _granted(response: Mapping[str, Any]) -> Grant:
    result = response.get("result")
    known = result if isinstance(result, dict) else {}
    return Grant(refresh_token=known.get("refresh_token"), expires_in=known.get("expires_in"))
