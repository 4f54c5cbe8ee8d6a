"""Servers that speak plain JSON-RPC 2.0."""

from __future__ import annotations

from wsfleet._client.venue import Venue, json_rpc_batches


def json_rpc(
    *,
    subscribe: str = "subscribe",
    unsubscribe: str = "unsubscribe",
    batch_size: int = 100,
) -> Venue:
    """
    Return the profile of a server that takes channels as `params.channels` of a JSON-RPC call.

    Its response confirms them: those that its result lists, or all of them where the result is
    no list.

    Args:
        subscribe: the method that adds channels.
        unsubscribe: the method that removes them.
        batch_size: channels to ask for with one call.

    Raises:
        ConfigError: `batch_size` can never work.
    """
    return Venue(
        subscribe=json_rpc_batches(subscribe),
        unsubscribe=json_rpc_batches(unsubscribe, removes=True),
        batch_size=batch_size,
    )
