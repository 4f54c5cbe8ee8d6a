"""
Which channels there are, and who may subscribe to them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .rpc import RpcError, unauthorized

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_FAMILIES: Final = re.compile(
    r"(announcements|platform_state|rfq|block_rfq|user)\b"
    r"|(block_trade_confirmations|book|chart\.trades|deribit_price_index|deribit_price_ranking"
    r"|deribit_price_statistics|deribit_volatility_index|estimated_expiration_price"
    r"|incremental_ticker|instrument|markprice|perpetual|quote|ticker|trades)\.."
)
_PRIVATE: Final = re.compile(r"user\.|block_rfq\.(maker|taker)\.")
_RAW: Final = re.compile(r"\.raw$")


class Channels:
    """
    The channels that exist.

    Args:
        names: all there are; None for every name of a family that the venue has.
    """

    def __init__(self, names: Collection[str] | None) -> None:
        self._names = None if names is None else frozenset(names)

    def existing(self, asked: Sequence[str]) -> list[str]:
        """Return those that exist, each once; the venue leaves out the others in silence."""
        return [name for name in dict.fromkeys(asked) if self._exists(name)]

    def _exists(self, name: str) -> bool:
        if self._names is None:
            return _FAMILIES.match(name) is not None
        return name in self._names


def check_public(asked: Sequence[str], *, authenticated: bool) -> None:
    """
    Let through what `public/subscribe` may subscribe to.

    Raises:
        RpcError: one of them is private, or raw and nobody is logged in.
    """
    if any(_PRIVATE.match(name) for name in asked):
        raise unauthorized()
    if not authenticated and any(_RAW.search(name) for name in asked):
        raise RpcError(13778, "raw_subscriptions_not_available_for_unauthorized")
