"""
Codes of JSON-RPC errors: the standard's (JSON-RPC 2.0 section 5.1), and Deribit's common ones
(its API documentation, "RPC error codes").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .advice import Advice

if TYPE_CHECKING:
    from collections.abc import Mapping

_LATER: Final = "It passes: wait a little, and send the request again."

CODES: Final[Mapping[object, Advice]] = {
    -32700: Advice("The server could not read the request as JSON: send valid JSON."),
    -32600: Advice(
        "The server took the message for no request: give it `jsonrpc`, `method` and `id`, or "
        "use `request`, which does."
    ),
    -32601: Advice("The server has no such method: correct its name, or its case."),
    -32602: Advice(
        "The method does not take these params: compare names and types with the server's "
        "documentation."
    ),
    -32603: Advice(
        "The server failed inside: ask it whether the request was carried out, and then try "
        "again.",
        recoverable=True,
    ),
    10000: Advice("Deribit wants a login for this: authenticate before the request."),
    10004: Advice("Deribit knows no order with this id or label: it may be filled or gone."),
    10009: Advice("The Deribit account has not enough funds: add some, or order less."),
    10028: Advice(
        "Deribit's rate limit was exceeded: send less, with a `limiter` such as "
        "`TokenBucket`, and try again later.",
        recoverable=True,
    ),
    10040: Advice(f"Deribit cannot do it right now. {_LATER}", recoverable=True),
    10041: Advice(
        f"Deribit pauses trading for some seconds while it settles. {_LATER}", recoverable=True
    ),
    10047: Advice(
        "Too many requests of yours wait in Deribit's matching engine: let some finish, and "
        "try again.",
        recoverable=True,
    ),
    10066: Advice(
        "Too many requests of yours are under way at Deribit: let some finish, and try again.",
        recoverable=True,
    ),
    11044: Advice("The order is not open any more at Deribit: ask for its state."),
    11050: Advice("Deribit could not read the request: correct its method and params."),
    11051: Advice(f"Deribit is under maintenance. {_LATER}", recoverable=True),
    13004: Advice(
        "Deribit does not know these credentials: check client id and secret, and whether "
        "they are of this environment: test and production have keys of their own."
    ),
    13009: Advice(
        "The token is missing, wrong or expired, or the signature is bad, for Deribit: "
        "authenticate again on this connection."
    ),
    13021: Advice("The Deribit API key may not do this: give it the scope, or use another."),
    13028: Advice(f"A service of Deribit does not respond. {_LATER}", recoverable=True),
    13778: Advice("Deribit gives raw channels only after a login: authenticate first."),
    13888: Advice(
        "Deribit did not get to the request before its `valid_until`: send it again with a "
        "later one.",
        recoverable=True,
    ),
}
