"""
The texts of a run, computed from a request's number alone.

Client and server compute them apart from each other, so that each can tell a message that is
whole from one that is damaged or belongs to another request. No part of wsfleet is used here.
"""

from __future__ import annotations

import json
from typing import Any, Final

_SIZES: Final = (0, 0, 0, 10, 10, 100, 300, 300, 5_000, 5_000, 70_000, 200_000)
"""Lengths of the filling: for each way to write a frame's length, and above a read buffer."""

_ERROR_EVERY: Final = 31
ERROR_CODE: Final = -32050


def filling(number: int) -> str:
    """Return the text that makes a message as long as its number says."""
    size = _SIZES[number * 7919 % len(_SIZES)]
    word = f"<{number}>"
    return (word * (size // len(word) + 1))[:size]


def params_of(number: int) -> dict[str, Any]:
    """Return what a request carries."""
    return {"n": number, "filling": filling(number)}


def answer_of(number: int) -> dict[str, Any]:
    """Return the member of the response that answers the request: a result, or an error."""
    if number % _ERROR_EVERY == 0:
        return {"error": {"code": ERROR_CODE, "message": f"refused {number}"}}
    return {"result": {"n": number, "answer": filling(number + 1)}}


def is_answer(number: int, response: object) -> bool:
    """Tell whether a whole response is the one to this request."""
    if not isinstance(response, dict):
        return False
    return {name: response.get(name) for name in answer_of(number)} == answer_of(number)


def response_text(request_id: object, number: int) -> bytes:
    """Return the response to a request, as the server sends it."""
    head = {"jsonrpc": "2.0", "id": request_id}
    return json.dumps({**head, **answer_of(number)}).encode()
