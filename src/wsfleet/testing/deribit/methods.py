"""
The methods that the mock venue has, as a table.

Rule: a method that is not in METHODS does not exist; those of `private/` need a login, which
is checked before they are called.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .channels import check_public

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .rpc import Params
    from .session import DeribitSession

    Method: TypeAlias = Callable[[DeribitSession, Params], Any]

NO_ANSWER: Final = object()
_VERSION: Final = {"version": "1.2.26"}


def _auth(session: DeribitSession, params: Params) -> Any:
    tokens = session.venue.tokens
    session.token = tokens.log_in(params, session)
    return tokens.result(session.token, params)


def _logout(session: DeribitSession, _: Params) -> Any:
    session.cancel_on_disconnect = False  # the venue cancels nothing for who says goodbye
    session.connection.close()
    return NO_ANSWER


def _hello(session: DeribitSession, params: Params) -> Any:
    params.text("client_version")
    session.client_name = params.text("client_name")
    return _VERSION


def _test(session: DeribitSession, _: Params) -> Any:
    session.heartbeats.answered()
    return _VERSION


def _get_time(_: DeribitSession, __: Params) -> Any:
    return time.time_ns() // 1_000_000


def _set_heartbeat(session: DeribitSession, params: Params) -> Any:
    session.heartbeats.start(params.number("interval"))
    return "ok"


def _disable_heartbeat(session: DeribitSession, _: Params) -> Any:
    session.heartbeats.stop()
    return "ok"


def _public_subscribe(session: DeribitSession, params: Params) -> Any:
    check_public(params.texts("channels"), authenticated=session.authenticated)
    return _subscribe(session, params)


def _subscribe(session: DeribitSession, params: Params) -> Any:
    channels = session.venue.channels.existing(params.texts("channels"))
    session.subscribed.update(channels)
    return channels


def _unsubscribe(session: DeribitSession, params: Params) -> Any:
    left = [name for name in params.texts("channels") if name in session.subscribed]
    session.subscribed.difference_update(left)
    return left


def _unsubscribe_all(session: DeribitSession, _: Params) -> Any:
    session.subscribed.clear()
    return "ok"


def _set_cancel_on_disconnect(session: DeribitSession, params: Params, *, enabled: bool) -> Any:
    if params.text("scope", "connection") == "account":
        session.venue.cancel_on_disconnect = enabled  # for connections to come
    else:
        session.cancel_on_disconnect = enabled
    return "ok"


def _enable_cancel_on_disconnect(session: DeribitSession, params: Params) -> Any:
    return _set_cancel_on_disconnect(session, params, enabled=True)


def _disable_cancel_on_disconnect(session: DeribitSession, params: Params) -> Any:
    return _set_cancel_on_disconnect(session, params, enabled=False)


def _get_cancel_on_disconnect(session: DeribitSession, params: Params) -> Any:
    scope = params.text("scope", "connection")
    of_account = session.venue.cancel_on_disconnect
    enabled = of_account if scope == "account" else session.cancel_on_disconnect
    return {"scope": scope, "enabled": enabled}


def _buy(session: DeribitSession, params: Params) -> Any:
    order = session.venue.orders.place("buy", params, session)
    return {"order": order.as_json(), "trades": []}


def _sell(session: DeribitSession, params: Params) -> Any:
    order = session.venue.orders.place("sell", params, session)
    return {"order": order.as_json(), "trades": []}


def _cancel(session: DeribitSession, params: Params) -> Any:
    return session.venue.orders.cancel(params.text("order_id")).as_json()


def _cancel_all(session: DeribitSession, _: Params) -> Any:
    orders = session.venue.orders
    return len([orders.cancel(order.order_id) for order in orders.open()])


def _get_open_orders(session: DeribitSession, _: Params) -> Any:
    return [order.as_json() for order in session.venue.orders.open()]


METHODS: Final[Mapping[str, Method]] = {
    "public/auth": _auth,
    "public/disable_heartbeat": _disable_heartbeat,
    "public/get_time": _get_time,
    "public/hello": _hello,
    "public/set_heartbeat": _set_heartbeat,
    "public/subscribe": _public_subscribe,
    "public/test": _test,
    "public/unsubscribe": _unsubscribe,
    "public/unsubscribe_all": _unsubscribe_all,
    "private/buy": _buy,
    "private/cancel": _cancel,
    "private/cancel_all": _cancel_all,
    "private/disable_cancel_on_disconnect": _disable_cancel_on_disconnect,
    "private/enable_cancel_on_disconnect": _enable_cancel_on_disconnect,
    "private/get_cancel_on_disconnect": _get_cancel_on_disconnect,
    "private/get_open_orders": _get_open_orders,
    "private/logout": _logout,
    "private/sell": _sell,
    "private/subscribe": _subscribe,
    "private/unsubscribe": _unsubscribe,
    "private/unsubscribe_all": _unsubscribe_all,
}
