"""
What a test says about messages: what a server sends, and what it expects to have got.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from wsfleet._client.matching import contains

Payload: TypeAlias = str | bytes
Sendable: TypeAlias = str | bytes | Mapping[str, Any]
Reply: TypeAlias = Sendable | list[Sendable] | None
Handler: TypeAlias = Callable[[Payload], Reply | Awaitable[Reply]]
Expected: TypeAlias = (
    str
    | bytes
    | re.Pattern[str]
    | re.Pattern[bytes]
    | Mapping[str, Any]
    | Callable[[Payload], object]
)


def encode(message: Sendable) -> Payload:
    """Return a message as it goes out: mappings become JSON."""
    return json.dumps(message) if isinstance(message, Mapping) else message


def replies(reply: Reply) -> list[Payload]:
    """Return what a handler's answer sends: nothing, one message or many."""
    if reply is None:
        return []
    return [encode(message) for message in (reply if isinstance(reply, list) else [reply])]


def echo(message: Payload) -> Reply:
    """Answer with the same message."""
    return message


def json_rpc(message: Payload) -> Reply:
    """Answer a JSON-RPC request with its own `params` as the result; ignore what is none."""
    request = _json(message)
    if not isinstance(request, dict) or "id" not in request:
        return None
    return {"jsonrpc": "2.0", "id": request["id"], "result": request.get("params")}


def matches(expected: Expected, message: Payload) -> bool:
    """
    Tell whether a message is the expected one.

    A str or bytes must be equal, a pattern must be found in a message of its type, a mapping
    must be part of the JSON object (its nested mappings too), and a callable must return
    something true.
    """
    match expected:
        case str() | bytes():
            return message == expected
        case re.Pattern():
            pattern: re.Pattern[Any] = expected
            return isinstance(message, type(pattern.pattern)) and bool(pattern.search(message))
        case Mapping():
            return contains(_json(message), expected)
        case _:
            return bool(expected(message))


def check_expected(expected: object) -> None:
    """
    Refuse what no message can be compared with.

    Raises:
        TypeError: it is none of the kinds that `matches` knows.
    """
    kinds = (str, bytes, re.Pattern, Mapping)
    if not isinstance(expected, kinds) and not callable(expected):
        raise TypeError(
            "expect a str, bytes, a pattern, a mapping or a callable, "
            f"not {type(expected).__name__}"
        )


def _json(message: Payload) -> object:
    try:
        return json.loads(message)
    except ValueError:
        return None
