"""
Orders that rest until they are cancelled: enough to see which were placed, and which survive.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from .rpc import RpcError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .rpc import Params

Direction = Literal["buy", "sell"]


@dataclass(frozen=True, slots=True)
class MockOrder:
    """
    An order as the venue shows it.

    Attributes:
        order_id: the venue's name for it.
        instrument_name: what is traded.
        direction: "buy" or "sell".
        amount: how much.
        price: at what price, or None for an order at market.
        order_type: "limit" or "market".
        label: the user's name for it.
        order_state: "open" or "cancelled".
        filled_amount: always 0.0: orders rest here.
        creation_timestamp: milliseconds since the Unix epoch.
    """

    order_id: str
    instrument_name: str
    direction: Direction
    amount: float
    price: float | None
    order_type: str
    label: str
    order_state: Literal["open", "cancelled"] = "open"
    filled_amount: float = 0.0
    creation_timestamp: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as it goes out; an order at market has no price."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(slots=True)
class Orders:
    """Every order of the account, in the order in which they came."""

    by_id: dict[str, MockOrder] = field(default_factory=dict)
    _owners: dict[str, object] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def place(self, direction: Direction, params: Params, owner: object) -> MockOrder:
        """
        Place an order.

        Raises:
            RpcError: a parameter is missing or wrong.
        """
        kind = params.text("type", "limit")
        order = MockOrder(
            order_id=f"MOCK-{next(self._numbers)}",
            instrument_name=params.text("instrument_name"),
            direction=direction,
            amount=params.number("amount"),
            price=params.number("price") if kind == "limit" or "price" in params else None,
            order_type=kind,
            label=params.text("label", ""),
            creation_timestamp=time.time_ns() // 1_000_000,
        )
        self.by_id[order.order_id] = order
        self._owners[order.order_id] = owner
        return order

    def cancel(self, order_id: str) -> MockOrder:
        """
        Cancel an open order.

        Raises:
            RpcError: there is none with this id.
        """
        order = self.by_id.get(order_id)
        if order is None or order.order_state != "open":
            raise RpcError(10004, "order_not_found")
        self.by_id[order_id] = cancelled = replace(order, order_state="cancelled")
        return cancelled

    def open(self) -> list[MockOrder]:
        """Return the orders that rest."""
        return [order for order in self.by_id.values() if order.order_state == "open"]

    def cancel_those_of(self, owner: object) -> None:
        """Cancel what this connection placed, and nothing else."""
        for order in self.open():
            if self._owners[order.order_id] is owner:
                self.cancel(order.order_id)
