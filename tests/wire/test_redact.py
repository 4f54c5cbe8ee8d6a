from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfleet._wire.redact import may_be_secret, redact_url


@pytest.mark.parametrize(
    "url",
    [
        "wss://ws.okx.com:8443/ws/v5/public",
        "wss://stream.binance.com/ws/btcusdt@depth20@100ms/ethusdt@kline_1m",
        "wss://www.deribit.com/ws/api/v2",
        "wss://a/socket.io/",
        "wss://a/v1/subscribe:stream",
        "wss://a/ws/ETHUSDT-240628-3500-C",
        "wss://a/MarketDataService/v1beta1.stream",
        "ws://[::1]:8080/graphql/subscriptions/",
        "ws://h//p",
        "",
        "garbage",
    ],
)
def test_ordinary_urls_are_shown_whole(url: str) -> None:
    """Paths that name versions, channels and services stay readable."""
    assert redact_url(url) == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("wss://a/v2/0123456789abcdef0123456789abcdef", "wss://a/v2/***"),
        ("wss://a/v3/AbCdEfGhIj-lMnOp_rStUvWxYz1", "wss://a/v3/***"),
        ("wss://a/bot123:ABC/x", "wss://a/***/x"),
        ("wss://a/550e8400-e29b-41d4-a716-446655440000/x", "wss://a/***/x"),
        ("wss://a/eyJhbGci.eyJzdWI.abc", "wss://a/***"),
        ("wss://a/sk_live_4eC39HqLyjWDarjtT1zdp7dc", "wss://a/***"),
        ("wss://a/12345678901234567890", "wss://a/***"),
        ("wss://a/QUJDREVGRw==", "wss://a/***"),
        ("wss://a/token/abc/ws", "wss://a/token/***/ws"),
        ("wss://a/Api-Key/abc", "wss://a/Api-Key/***"),
        ("wss://a/ws;token=abc;x/y", "wss://a/ws;token=***;***/y"),
        ("wss://a/token=abc", "wss://a/token=***"),
        ("wss://a/%62ot12%3AABC", "wss://a/***"),
        ("wss://a/%2562ot12%253AABC", "wss://a/***"),
        ("wss://a/wss://u:p@b/", "wss://a/wss://***/"),
        ("wss://a/" + "a" * 300, "wss://a/***"),
        ("wss://user@a/", "wss://***@a/"),
        ("wss://u:p@[::1]:80/p#part", "wss://***@[::1]:80/p"),
        ("wss://a/?dGVzdA==&dGVzdHM=&a=1;b=2&c", "wss://a/?***&***&a=***&***"),
        ("wss://a/?0123456789abcdef=1", "wss://a/?***"),
        ("wss://[::1", "wss://***"),
        ("wss://u:p/ss@a/", "wss://***"),
        ("wss://u:p#ss@a/", "wss://***"),
        ("u:p@[", "***"),
    ],
)
def test_secrets_of_a_url_are_hidden(url: str, shown: str) -> None:
    """Userinfo, query values, tokens in the path, and all of a URL that makes no sense."""
    assert redact_url(url) == shown


@given(st.text("ws:/?#@[]%;=&.\\ a\u00e4\ud800\n", max_size=40))
def test_redacting_never_raises(url: str) -> None:
    """Whatever a user or a server gives as a URL, there is something to show."""
    assert isinstance(redact_url(url), str)


@pytest.mark.parametrize(
    "piece", ["a", "a/", "a&", "%25", ":", ";", ":" * 200 + "/", "1a", "="]
)
def test_a_long_url_takes_no_long_time(piece: str) -> None:
    """A URL of 60 KB, as a hostile server may send, is redacted in a moment."""
    began = time.process_time()
    redact_url("ws://h/" + piece * (60_000 // len(piece)))
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "name",
    [
        "graphql-ws",
        "graphql-transport-ws",
        "mqtt",
        "v12.stomp",
        "wamp.2.msgpack",
        "ocpp2.0.1",
        "v4.channel.k8s.io",
        "actioncable-v1-json",
        "aws-appsync-event-ws",
        "json.webpubsub.azure.v1",
    ],
)
def test_names_of_protocols_are_no_secrets(name: str) -> None:
    """The usual subprotocols name a protocol."""
    assert not may_be_secret(name)


@pytest.mark.parametrize(
    "value",
    [
        "bearer.abc",
        "base64url.bearer.authorization.k8s.io.abc",
        "openai-insecure-api-key.sk-1",
        "access_token",
        "Authorization",
        "myToken",
        "jwt",
        "eyJhbGciOi.abc",
        "0123456789abcdef0123456789abcdef",
        "header-eyJhbGciOi",
        "a" * 41,
    ],
)
def test_what_may_be_a_token(value: str) -> None:
    """Subprotocols that carry tokens, in the ways that are in use, are told from names."""
    assert may_be_secret(value)
