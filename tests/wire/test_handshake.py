from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfleet._wire.deflate import Deflate
from wsfleet._wire.handshake import (
    Agreed,
    HandshakeError,
    accept_key,
    check_answer,
    retry_after,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD = {
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
}


def check(
    headers: dict[str, str] | list[tuple[str, str]],
    *,
    status: int = 101,
    subprotocols: tuple[str, ...] = (),
    deflate: Deflate | None = None,
    http_version: bytes = b"HTTP/1.1",
) -> Agreed:
    """Judge an answer to the RFC's example."""
    return check_answer(
        status=status,
        http_version=http_version,
        headers=httpx.Headers(headers),
        key=KEY,
        subprotocols=subprotocols,
        offered_deflate=deflate,
    )


def test_the_accept_key_is_the_rfcs() -> None:
    """The example of RFC 6455, section 1.3."""
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_right_answer_is_taken() -> None:
    """A server that answers as it should is believed, in any case of letters."""
    assert Agreed(None, None) == check(GOOD)
    check({**GOOD, "upgrade": "WebSocket", "connection": "keep-alive, upgrade"})


def test_only_http_1_1_has_upgrades() -> None:
    """A server that answers in another version of HTTP is not believed."""
    with pytest.raises(HandshakeError, match=r"HTTP/1\.0"):
        check(GOOD, http_version=b"HTTP/1.0")


@pytest.mark.parametrize(
    "change",
    [
        {"sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo"},
        {"sec-websocket-accept": ""},
        {"upgrade": "h2c"},
        {"upgrade": ""},
        {"connection": "close"},
        {"sec-websocket-protocol": "unasked"},
        {"sec-websocket-extensions": "permessage-deflate"},
    ],
)
def test_a_wrong_answer_is_refused(change: dict[str, str]) -> None:
    """A server that gets one header wrong is not believed."""
    with pytest.raises(HandshakeError):
        check({**GOOD, **change})


@pytest.mark.parametrize("missing", list(GOOD))
def test_a_missing_header_is_refused(missing: str) -> None:
    """A server that leaves out a header is not believed."""
    with pytest.raises(HandshakeError):
        check({name: value for name, value in GOOD.items() if name != missing})


def test_two_accept_headers_are_refused() -> None:
    """A right accept header beside a wrong one is no proof."""
    with pytest.raises(HandshakeError):
        check([*GOOD.items(), ("sec-websocket-accept", "other")])


def test_a_status_other_than_101_is_refused() -> None:
    """Only 101 switches protocols."""
    with pytest.raises(HandshakeError):
        check(GOOD, status=200)


def test_the_chosen_subprotocol_is_one_of_the_offered() -> None:
    """A server may choose one of the subprotocols that were offered, or none."""
    chosen = {**GOOD, "sec-websocket-protocol": "v2"}

    assert check(chosen, subprotocols=("v1", "v2")).subprotocol == "v2"
    assert check(GOOD, subprotocols=("v1", "v2")).subprotocol is None
    with pytest.raises(HandshakeError):
        check(chosen, subprotocols=("v1",))
    with pytest.raises(HandshakeError):
        both = [*GOOD.items(), *[("sec-websocket-protocol", v) for v in ("v1", "v2")]]
        check(both, subprotocols=("v1", "v2"))


def test_compression_is_agreed() -> None:
    """A server that takes the offer gets compressed messages."""
    answer: dict[str, Any] = {**GOOD, "sec-websocket-extensions": "permessage-deflate"}

    assert check(answer, deflate=Deflate()).deflate is not None


NOW = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = st.integers(-10, 10**20)
DATES = st.builds(
    "Thu, {} Jan {} {}:{}:{} {}".format, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS
)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
        ("Thu, 01 Jan 2026 00:01:00 -0000", 60.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("", None),
        ("Thu, 01 Jan 99999999999999 00:00:00 GMT", None),
        ("Thu, 01 Jan 2026 99:99:99 GMT", None),
        ("Thu, 01 Jan 2026 00:01:00 +999999", None),
        ("9" * 400, 999_999_999.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    """A server's Retry-After is taken as RFC 9110 (10.2.3) says, and never as less than now."""
    assert seconds == retry_after(httpx.Headers([(b"retry-after", value.encode())]), NOW)


@given(value=st.one_of(st.text(st.characters(codec="latin-1")), DATES))
def test_any_retry_after_is_seconds_or_nothing(value: str) -> None:
    """Whatever a server writes there, it is a wait that is not negative, or none."""
    seconds = retry_after(httpx.Headers([(b"retry-after", value.encode("latin-1"))]), NOW)

    assert seconds is None or seconds >= 0


def test_no_retry_after_asks_for_nothing() -> None:
    """Without the header the server asks for nothing."""
    assert retry_after(httpx.Headers(), NOW) is None
