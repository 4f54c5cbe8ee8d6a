from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

from wsfleet import errors

URL = "wss://example.org/"
EXAMPLES: list[errors.WsfleetError] = [
    errors.ConfigError("timeout", "must be more than 0 seconds, not 0"),
    errors.ConnectError(URL, "odd"),
    errors.ConnectTimeoutError(URL, "not open after 5 s"),
    errors.ConnectRefusedError(URL, "refused"),
    errors.DnsError(URL, "no such host"),
    errors.TlsError(URL, "the certificate was refused: expired", False),
    errors.HandshakeRejectedError(URL, "the server answered 503", 503, 2.5),
    errors.SessionRejectedError(URL, "login", "invalid_credentials (13004)", 13004),
    errors.SessionRejectedError(URL, "login", "too_many_requests (10028)", 10028, True),
    errors.SubscriptionRejectedError("c", {"a": "no such channel"}, ["b"]),
    errors.SendError("plain"),
    errors.NotConnectedError("c", "connecting"),
    errors.RequestTimeoutError("c", 7, 30.0, None),
    errors.RequestTimeoutError("c", 7, 30.0, False),
    errors.DisconnectedError("c", 1001, "bye"),
    errors.DisconnectedError("c", None, ""),
    errors.DuplicateRequestIdError("c", 7),
    errors.BackpressureError("c", 67108864, None),
    errors.BackpressureError("c", 67108864, False),
    errors.NoConnectionsError(3),
    errors.MaxAttemptsExceededError([("c", errors.NotConnectedError("c", "closed"))]),
    errors.RateLimitedError(0.25),
    errors.RateLimitedError(0.25, "c"),
    errors.JsonRpcError(10028, "too_many_requests", {"wait": 1}),
    errors.InboxOverflowError("c", 1024),
    errors.InboxOverflowError("c", 67108864, "bytes"),
    errors.UnreadableAnswerError("c", "read_ack"),
    errors.StrayCancellationError("on_event"),
    errors.RecordingError("session.jsonl", 7, "is not a line of a recording"),
    errors.RestartLimitError("c", 10, 60.0),
]


def public_errors() -> set[Any]:
    """Return the classes that the module offers."""
    return {
        cls
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if cls.__module__ == errors.__name__
    }


def test_every_error_is_offered_and_has_an_example() -> None:
    """The list of public errors is complete."""
    assert {cls.__name__ for cls in public_errors()} == set(errors.__all__)
    assert public_errors() - {type(error) for error in EXAMPLES} == {errors.WsfleetError}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_errors_travel(error: errors.WsfleetError) -> None:
    """An error survives pickling and copying with all that it knows."""
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own bytes
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert repr(sorted(vars(twin).items())) == repr(sorted(vars(error).items()))


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_errors_speak(error: errors.WsfleetError) -> None:
    """Every error has a text, and says whether trying again can help."""
    assert str(error)
    assert isinstance(error.recoverable, bool)


def test_errors_of_a_send_say_whether_it_was_sent() -> None:
    """Every error of a send says in `sent` and in words whether the message went out."""
    sends = [
        e
        for e in EXAMPLES
        if isinstance(e, errors.SendError) and type(e) is not errors.SendError
    ]
    for error in sends:
        words = "not sent" if error.sent is False else "carried out"
        assert words in str(error), error


def test_an_idempotent_message_may_have_been_sent() -> None:
    """When one of the attempts is unknown, the whole is unknown."""
    unknown = errors.RequestTimeoutError("b", 1, 1.0, None)
    refused = errors.NotConnectedError("a", "connecting")

    assert errors.MaxAttemptsExceededError([("a", refused)]).sent is False
    error = errors.MaxAttemptsExceededError([("a", refused), ("b", unknown)])
    assert error.sent is None
    assert "a is connecting" in str(error)
    assert error.attempts == (("a", refused), ("b", unknown))


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (errors.ConfigError, ValueError),
        (errors.ConnectTimeoutError, TimeoutError),
        (errors.RequestTimeoutError, TimeoutError),
    ],
)
def test_errors_are_also_what_python_calls_them(cls: Any, builtin: Any) -> None:
    """Whoever catches TimeoutError or ValueError catches ours."""
    assert issubclass(cls, builtin)


@pytest.mark.parametrize(
    ("status", "heals"),
    [
        (101, False),
        (301, False),
        (400, False),
        (401, False),
        (403, False),
        (404, False),
        (408, True),
        (410, False),
        (425, True),
        (429, True),
        (500, True),
        (501, False),
        (502, True),
        (503, True),
        (504, True),
    ],
)
def test_which_refusals_heal(status: int, heals: bool) -> None:
    """Overload, timeouts and broken gateways heal; what is wrong with the request does not."""
    assert errors.HandshakeRejectedError(URL, "x", status).recoverable is heals
