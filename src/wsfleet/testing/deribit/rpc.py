"""
JSON-RPC 2.0 as the venue speaks it: its envelope, its errors, parameters by name only.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsfleet.testing.messages import Payload


class RpcError(Exception):
    """A request is refused; `closes` when the venue hangs up after that."""

    def __init__(
        self,
        code: int,
        message: str,
        data: Mapping[str, Any] | None = None,
        *,
        closes: bool = False,
    ) -> None:
        super().__init__(code, message, data)
        self.closes: bool = closes
        self.body: dict[str, Any] = {"code": code, "message": message}
        if data is not None:
            self.body["data"] = data


def invalid_params(param: str, reason: str) -> RpcError:
    """Say which parameter is wrong."""
    return RpcError(-32602, "Invalid params", {"reason": reason, "param": param})


def unauthorized() -> RpcError:
    """Say that nobody is logged in, or no longer."""
    return RpcError(13009, "unauthorized", {"reason": "invalid_token"})


class Params:
    """The named parameters of one request; what is missing or of another type is refused."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values: Mapping[str, Any] = values

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string."""
        value = self._required(name, default)
        if not isinstance(value, str):
            raise invalid_params(name, "value must be a string")
        return value

    def number(self, name: str) -> float:
        """Return a number."""
        value = self._required(name, None)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise invalid_params(name, "value must be a number")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of strings."""
        values = self._required(name, None)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise invalid_params(name, "value must be a list")
        return values

    def _required(self, name: str, default: object) -> Any:
        value = self.values.get(name, default)
        if value is None:
            raise invalid_params(name, "value is required")
        return value


@dataclass(frozen=True, slots=True)
class Request:
    """One message of a client; `id` is the part of the answer that repeats it, if it came."""

    id: Mapping[str, Any]
    method: str
    params: Params


def json_object(message: Payload) -> dict[str, Any]:
    """
    Read a message.

    Raises:
        RpcError: it is no JSON object; the venue knows no batches.
    """
    try:
        value = json.loads(message)
    except ValueError:
        raise RpcError(-32700, "Parse error") from None
    if not isinstance(value, dict):
        raise RpcError(-32600, "Invalid Request")
    return value


def request_of(message: Mapping[str, Any]) -> Request:
    """
    Find method and parameters.

    Raises:
        RpcError: there is no method, or the parameters have no names.
    """
    method, params = message.get("method"), message.get("params") or {}
    if not isinstance(method, str):
        raise RpcError(-32600, "Invalid Request")
    if not isinstance(params, dict):
        raise RpcError(-32602, "Invalid params", {"reason": "params must be an object"})
    return Request(id_of(message), method, Params(params))


def id_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the answer that tells to what it is one."""
    return {"id": message["id"]} if "id" in message else {}


def microseconds() -> int:
    """Return the time in the venue's unit, since the Unix epoch."""
    return time.time_ns() // 1000


def answer(came: int, ident: Mapping[str, Any], **outcome: Any) -> dict[str, Any]:
    """Return an answer with the venue's marks of time; `outcome` is its result or error."""
    now = microseconds()
    times = {"usIn": came, "usOut": now, "usDiff": now - came, "testnet": True}
    return {"jsonrpc": "2.0", **ident, **outcome, **times}


def notification(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message that nobody asked for."""
    return {"jsonrpc": "2.0", "method": method, "params": params}
