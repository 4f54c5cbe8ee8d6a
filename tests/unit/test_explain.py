from __future__ import annotations

import errno
import inspect
import socket
import ssl
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
import pytest

import wsfleet
from tests.unit.test_errors import EXAMPLES, URL
from wsfleet import errors, explain
from wsfleet._explain.foreign import FOREIGN
from wsfleet._explain.ours import OURS

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "s3cret"


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    """Make what a failed verification raises."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


def tls_error(reason: str) -> ssl.SSLError:
    """Make what a failed handshake raises."""
    error = ssl.SSLError(1, f"[SSL: {reason}]")
    error.reason = reason
    return error


def raised_from(error: BaseException, cause: BaseException) -> BaseException:
    """Return the error as if raised from the cause."""
    error.__cause__ = cause
    return error


def test_every_public_error_has_an_explanation_of_its_own() -> None:
    """
    No class of errors is explained only as its base; a new one needs a row of its own.
    """
    public = {cls for cls in vars(errors).values() if inspect.isclass(cls)}

    assert set(OURS) == {cls for cls in public if issubclass(cls, errors.WsfleetError)}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_keeps_its_text_and_gets_a_suggestion(error: errors.WsfleetError) -> None:
    """An explanation has the error's own text, whole sentences about what to do, and a hope."""
    told = explain(error)

    assert told.message == str(error)
    assert told.suggestion[0].isupper()
    assert told.suggestion.endswith(".")
    assert str(told) == f"{told.message}. {told.suggestion}"
    if not isinstance(error, errors.JsonRpcError):  # there, the code knows better
        assert told.recoverable is error.recoverable


def test_every_suggestion_is_a_sentence() -> None:
    """Every suggestion in the tables begins as a sentence and ends as one."""
    rows = [*OURS.values(), *(row for _, row in FOREIGN)]
    advice = [each for row in rows for each in (row.advice, *row.cases.values())]

    assert len(advice) > 80
    for each in advice:
        assert each.suggestion[0].isupper(), each
        assert each.suggestion.endswith("."), each


def test_a_subclass_of_a_user_is_explained_as_its_base() -> None:
    """Whoever derives an error of their own from ours gets the base's explanation."""

    class NoSessionError(errors.HandshakeRejectedError):
        pass

    ours = errors.HandshakeRejectedError(URL, "the server answered 401", 401)
    theirs = NoSessionError(URL, "the server answered 401", 401)
    assert explain(theirs) == explain(ours)
    assert "credentials" in explain(theirs).suggestion


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (errors.HandshakeRejectedError(URL, "x", 429), "connect_limiter"),
        (errors.HandshakeRejectedError(URL, "x", 404), "path"),
        (errors.HandshakeRejectedError(URL, "x", 418), "log"),
        (errors.NotConnectedError("c", "closed"), "Start"),
        (errors.NotConnectedError("c", "connecting"), "Wait"),
        (errors.RequestTimeoutError("c", 1, 1.0, None), "Ask the server"),
        (errors.RequestTimeoutError("c", 1, 1.0, False), "Send less"),
        (errors.DisconnectedError("c", 1009, ""), "too big"),
        (errors.DisconnectedError("c", None, ""), "Ask the server"),
        (errors.DisconnectedError("c", 4001, ""), "Ask the server"),
    ],
)
def test_what_an_error_knows_chooses_the_suggestion(
    error: errors.WsfleetError, word: str
) -> None:
    """A status, a state, a close code and `sent` decide what there is to do."""
    assert word in explain(error).suggestion


@pytest.mark.parametrize(
    ("code", "word", "recoverable"),
    [
        (-32700, "valid JSON", False),
        (-32600, "no request", False),
        (-32601, "method", False),
        (-32602, "params", False),
        (-32603, "failed inside", True),
        (10028, "limiter", True),
        (13004, "credentials", False),
        (13009, "authenticate again", False),
        (-32000, "documentation", False),
        ([], "documentation", False),
    ],
)
def test_codes_of_json_rpc_are_explained(code: Any, word: str, recoverable: bool) -> None:
    """
    Standard codes and Deribit's common ones say what to do; other codes, and what is none,
    lead to the server's documentation.
    """
    told = explain(errors.JsonRpcError(code, "words\nof the server"))

    assert word in told.suggestion
    assert told.recoverable is recoverable
    assert told.message == f"the server answered with error {code}: words of the server"


@pytest.mark.parametrize(
    ("error", "message", "suggestion", "recoverable"),
    [
        (ConnectionRefusedError(111, "x"), "nothing listens", "host and port", True),
        (ConnectionResetError(104, "x"), "dropped", "Try again", True),
        (OSError(errno.ENETUNREACH, "x"), "no way", "routes", True),
        (OSError(errno.EMFILE, "x"), "file descriptor", "ulimit", True),
        (OSError(errno.EIO, "x"), "Input/output error", "errno", True),
        (OSError("x"), "OSError", "errno", True),
        (FileNotFoundError(errno.ENOENT, "x"), "no such file", "path", False),
        (TimeoutError(), "too long", "timeout", True),
        (socket.gaierror(socket.EAI_NONAME, "x"), "not resolve", "spelling", True),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "did not answer", "DNS server", True),
        (certificate_error(10), "expired", "clock", False),
        (certificate_error(62), "another host", "name", False),
        (certificate_error(18), "self-signed", "ssl_context", False),
        (certificate_error(20), "authority", "certifi", False),
        (certificate_error(99), "refused", "ssl_context", False),
        (tls_error("WRONG_VERSION_NUMBER"), "not answer in TLS", "ws://", False),
        (tls_error("TLSV1_ALERT_PROTOCOL_VERSION"), "version", "TLS 1.2", False),
        (tls_error("ODD"), "TLS", "port", True),
        (ssl.SSLEOFError(8, "x"), "without a word", "Try again", True),
        (httpx.ConnectTimeout("x"), "too long", "timeout", True),
        (httpx.PoolTimeout("x"), "no connection free", "max_connections", True),
        (httpx.ProxyError("x"), "proxy", "credentials", True),
        (httpx.InvalidURL("x"), "URL", "percent", False),
        (httpx.UnsupportedProtocol("x"), "URL", "ws://", False),
        (httpx.RemoteProtocolError("x"), "HTTP/1.1", "WebSocket server", True),
        (httpx.LocalProtocolError("x"), "not valid HTTP", "headers", False),
        (httpx.ReadError("x"), "broke", "reached", True),
        (httpcore.ConnectError("x"), "broke", "reached", True),
        (httpcore.RemoteProtocolError("x"), "HTTP/1.1", "WebSocket server", True),
    ],
)
def test_errors_from_beneath_are_explained(
    error: BaseException, message: str, suggestion: str, recoverable: bool
) -> None:
    """What the system, TLS and HTTP raise is explained, too, in words of ours."""
    told = explain(error)

    assert message in told.message
    assert suggestion in told.suggestion
    assert told.recoverable is recoverable


def test_the_most_telling_cause_explains() -> None:
    """HTTP's error is explained as what it was raised from, also from within a group."""
    expired = certificate_error(10)
    wrapped = raised_from(
        httpx.ConnectError("x"), raised_from(httpcore.ConnectError("x"), expired)
    )
    many = ExceptionGroup("x", [OSError("odd"), ConnectionRefusedError(111, "x")])

    assert explain(wrapped) == explain(expired)
    assert "nothing listens" in explain(raised_from(OSError("all failed"), many)).message


def test_a_cause_says_what_to_do_about_one_of_ours() -> None:
    """A failed connection keeps its text, and its cause says what there is to do."""
    error = errors.TlsError(URL, "the certificate was refused: expired")
    raised_from(error, certificate_error(10))

    assert explain(error).message == str(error)
    assert "clock" in explain(error).suggestion

    hidden = httpx.ConnectError("x")  # as httpcore on trio raises it: no cause, but a context
    hidden.__context__ = ssl.SSLEOFError(8, "x")
    told = explain(raised_from(errors.TlsError(URL, "no answer", True), hidden))
    assert "speaks TLS" in told.suggestion


def test_what_is_summed_up_is_explained() -> None:
    """Failed attempts, and the crash behind a restart limit, bring their suggestions along."""
    attempts = [
        ("a", errors.NotConnectedError("a", "closed")),
        ("b", errors.RateLimitedError(1)),
    ]
    told = explain(errors.MaxAttemptsExceededError(attempts))
    assert "Start the client again" in told.suggestion
    assert "retry_after" in told.suggestion

    limit = raised_from(errors.RestartLimitError("c", 10, 60.0), ConnectionRefusedError())
    assert explain(limit).suggestion.endswith("and that the server runs.")


def test_a_group_is_explained_as_what_is_in_it() -> None:
    """Of several errors each is told once, three at most; all must heal for the group to."""
    refused = ConnectionRefusedError(111, "x")
    inner = ExceptionGroup("x", [TimeoutError(), refused])
    told = explain(ExceptionGroup("x", [refused, inner]))
    assert told.message == "nothing listens on that port; it took too long"
    assert told.recoverable

    mixed = explain(ExceptionGroup("x", [refused, ValueError(SECRET)]))
    assert not mixed.recoverable

    many = explain(ExceptionGroup("x", [type(f"E{n}", (Exception,), {})() for n in range(5)]))
    assert many.message.count("does not know") == 3
    assert many.message.endswith("; and 2 more")


def test_an_unknown_error_gets_an_honest_answer() -> None:
    """What wsfleet does not know, it says so, and explains the cause where it knows that."""
    unknown = explain(KeyError(SECRET))
    assert unknown.message == "KeyError, which wsfleet does not know"
    assert not unknown.recoverable

    beneath = raised_from(RuntimeError(SECRET), errors.NotConnectedError("c", "connecting"))
    told = explain(beneath)
    assert told.message.startswith("RuntimeError, because c is connecting")
    assert told.recoverable

    first = RuntimeError()
    assert (
        "does not know" in explain(raised_from(first, raised_from(KeyError(), first))).message
    )


def test_an_unrelated_error_that_was_handled_explains_nothing() -> None:
    """Only what an error was raised from counts, not what was being handled meanwhile."""
    error = FileNotFoundError(errno.ENOENT, "x")
    error.__context__ = certificate_error(10)

    assert "no such file" in explain(error).message


def foreign_errors() -> Iterator[BaseException]:
    """Make an error of each kind that wsfleet knows, with a secret for a text."""
    for kinds, _ in FOREIGN:
        for kind in kinds:
            error = kind.__new__(kind)
            error.args = (SECRET,)
            yield error
    yield OSError(SECRET)
    yield OSError(SECRET, SECRET)
    yield httpx.InvalidURL(f"Invalid port: '{SECRET}'")
    yield ValueError(SECRET)
    yield ExceptionGroup(SECRET, [OSError(5, SECRET, SECRET)])
    yield raised_from(ValueError(SECRET), httpx.LocalProtocolError(SECRET))


@pytest.mark.parametrize(
    "error", list(foreign_errors()), ids=lambda error: type(error).__name__
)
def test_no_foreign_text_is_repeated(error: BaseException) -> None:
    """Texts that are not ours quote URLs and headers: no explanation repeats one."""
    assert SECRET not in str(explain(error))


def test_explain_is_public() -> None:
    """`explain` and what it returns are offered by the package."""
    assert isinstance(explain(ValueError()), wsfleet.Explanation)
    assert {"explain", "Explanation"} <= set(wsfleet.__all__)
