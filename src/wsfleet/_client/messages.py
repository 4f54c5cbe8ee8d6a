"""What a message is on its way out, and what text becomes on its way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from wsfleet._wire.frames import Opcode
from wsfleet._wire.offering import PIECE
from wsfleet._wire.scrub import encode_error, without_own_frames
from wsfleet.errors import JsonRpcError

from .words import number_of, words

if TYPE_CHECKING:
    from .correlation import RequestId

Sendable: TypeAlias = str | bytes | bytearray | memoryview | Mapping[str, Any]
"""What can be sent: str as a text message, bytes as a binary one, a mapping as JSON."""

_decode_json = msgspec.json.Decoder().decode
_encode_json = msgspec.json.Encoder().encode


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """
    A message ready for the wire.

    Attributes:
        opcode: what it goes out as.
        payload: its bytes; or the text itself, where the wire can take it as it is.
        request_id: the id of the response that it asks for, or None.
        given: what the caller gave.
    """

    opcode: Opcode
    payload: bytes | str
    request_id: RequestId | None
    given: Sendable

    def __repr__(self) -> str:
        # Tracebacks may show local variables: what is in a message stays out of them.
        return f"<{self.opcode.name} message of {len(self.payload)} characters>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return what a pretty-printer shows; msgspec's own would show all fields."""
        return [("opcode", self.opcode.name), ("characters", len(self.payload))]


class Envelope(msgspec.Struct):
    """The members of a JSON object that decide whether it is a request or a response."""

    id: int | str | float | None = None
    method: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_response(self) -> bool:
        """Whether it answers a request (JSON-RPC 2.0 section 5)."""
        answers = self.result is not msgspec.UNSET or self.error is not msgspec.UNSET
        return answers and self.method is msgspec.UNSET


_decode_envelope = msgspec.json.Decoder(Envelope).decode


def outgoing(message: Sendable) -> Outgoing:
    """
    Make a message ready for the wire.

    Raises:
        TypeError: it is neither str, bytes nor a mapping, or the mapping is not JSON-able;
            nothing was sent.
        UnicodeEncodeError: a text has surrogates, which UTF-8 cannot carry; nothing was sent.
            The error does not have the text.
    """
    try:
        if type(message) is dict:  # the common case, and abstract classes are slow to ask
            return Outgoing(
                Opcode.TEXT, _encode_json(message), _request_id_in_mapping(message), message
            )
        if isinstance(message, str):
            is_small = len(message) <= PIECE
            payload = message.encode() if is_small or not message.isascii() else message
            return Outgoing(Opcode.TEXT, payload, _request_id_in_text(message), message)
        if isinstance(message, bytes):
            return Outgoing(Opcode.BINARY, message, None, message)
        if isinstance(message, Mapping):
            return _outgoing_mapping(message)
        if isinstance(message, bytearray | memoryview):
            return Outgoing(Opcode.BINARY, bytes(message), None, message)
        kind = type(message).__name__
        error: Exception = TypeError(
            f"a message is str, bytes or a mapping, not {kind}; nothing was sent"
        )
    except UnicodeEncodeError as exc:
        error = encode_error(exc)
    except Exception as exc:  # noqa: BLE001 - raised again
        error = without_own_frames(exc)
    del message  # tracebacks may show local variables
    raise error


def _outgoing_mapping(message: Mapping[str, Any]) -> Outgoing:
    plain = dict(message)
    return Outgoing(Opcode.TEXT, _encode_json(plain), _request_id_in_mapping(plain), message)


def outgoing_call(method: str, params: Any, request_id: RequestId) -> Outgoing:
    """
    Make a JSON-RPC 2.0 call ready for the wire.

    Args:
        method: to be called.
        params: left out when None.
        request_id: the call's `id`.

    Raises:
        TypeError: it is not JSON-able; nothing was sent.
        UnicodeEncodeError: a text in it has surrogates; nothing was sent.
    """
    message = {"jsonrpc": "2.0", "id": request_id, "method": method}
    if params is not None:
        message["params"] = params
    try:
        return Outgoing(Opcode.TEXT, _encode_json(message), request_id, message)
    except UnicodeEncodeError as exc:
        error: Exception = encode_error(exc)
    except Exception as exc:  # noqa: BLE001 - raised again
        error = without_own_frames(exc)
    del message, params  # tracebacks may show local variables
    raise error


_BEFORE_MEMBERS: Final = "{ \t\r\n"
"""What a JSON object begins with, and may stand before it (RFC 8259 section 2)."""


def _request_id_in_text(text: str) -> RequestId | None:
    if text[:1] not in _BEFORE_MEMBERS or '"id"' not in text:
        return None
    envelope = read_envelope(text)
    return None if envelope is None or envelope.is_response else envelope.id


def _request_id_in_mapping(message: Mapping[str, Any]) -> RequestId | None:
    request_id = message.get("id")
    if type(request_id) not in (int, str, float) or is_response(message):
        return None
    return request_id


def read_envelope(text: str) -> Envelope | None:
    """Return the telling members of a JSON object, or None where the text is none."""
    try:
        return _decode_envelope(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


class _Called(msgspec.Struct):
    method: str = ""


_decode_called = msgspec.json.Decoder(_Called).decode


def method_of(message: Sendable) -> str:
    """Return the method that a message, str or mapping, calls; "" where it calls none."""
    if isinstance(message, Mapping):
        method = message.get("method")
        return method if isinstance(method, str) else ""
    try:
        return _decode_called(message).method if isinstance(message, str) else ""
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ""


def is_response(message: Mapping[str, Any]) -> bool:
    """Whether a decoded object answers a request (JSON-RPC 2.0 section 5)."""
    return ("result" in message or "error" in message) and "method" not in message


def json_or_text(payload: bytes) -> Any:
    """
    Decode JSON; text that is none stays text.

    Raises:
        UnicodeDecodeError: the bytes are not UTF-8.
    """
    try:
        return _decode_json(payload)
    except (msgspec.DecodeError, RecursionError):
        return payload.decode()


def decode_json_text(text: str) -> Any:
    """
    Decode text that is known to be JSON.

    Raises:
        msgspec.DecodeError: it is not.
    """
    return _decode_json(text)


def result_of(response: Any, temporary: frozenset[int] = frozenset()) -> Any:
    """
    Return a JSON-RPC response's result.

    Args:
        response: decoded.
        temporary: numbers of errors after which the same request may succeed later.

    Raises:
        JsonRpcError: it has an error instead.
    """
    error = response.get("error")
    if error is None:
        return response.get("result")
    raised = _json_rpc_error(error)
    raised.recoverable = raised.code in temporary
    raise raised


def _json_rpc_error(error: object) -> JsonRpcError:
    """Make an error of whatever a server put there (JSON-RPC 2.0 section 5.1 is a wish)."""
    if not isinstance(error, dict):
        return JsonRpcError(0, words(error))
    code, message = number_of(error.get("code", 0)), error.get("message", "")
    if code is None or not isinstance(message, str):
        return JsonRpcError(code or 0, words(message), error)
    return JsonRpcError(code, message, error.get("data"))
