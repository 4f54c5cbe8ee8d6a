from __future__ import annotations

import dataclasses
import math
import ssl
import sys
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfleet import (
    ChildSpec,
    Client,
    ClientOptions,
    ClientPing,
    Config,
    Deflate,
    ServerBeat,
    Venue,
)
from wsfleet._client.messages import outgoing
from wsfleet._wire.redact import redact_url
from wsfleet.errors import ConfigError
from wsfleet.venues import Batch, Grant, Login

URL = "wss://example.org/feed"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "http://example.org",
        "wss://",
        "ws:///path",
        "ws://host:port",
        "ws://host:99999",
        "ws://host:0",
        "ws://host/#fragment",
        "ws://host/#",
        "ws://[::1",
        "ws://us:er@pa:ss/word@host",
        "ws://host:65536",
        "ws://host:-1",
        "ws://host:+80",
        "ws://host:8_0",
        f"ws://{'a' * 64}.example",
        f"ws://{'a.' * 127}example",
        "ws://a..example",
        "ws://.example",
        "ws://host..",
        "ws://xn--0.example",
        "ws://\u2603.\u200d.example",
        "ws://1.2.3.400",
        "ws://host/\ud800",
        "ws://host/\n",
        "ws://host/" + "a" * 70_000,
        " ws://host",
        None,
        b"ws://host",
    ],
)
def test_a_url_that_can_never_work_is_refused(url: Any) -> None:
    """A bad URL is refused before anything is opened, without being repeated in the error."""
    with pytest.raises(ConfigError, match=r"^url ") as caught:
        Config(url=url)

    assert "pa:ss" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "ws://h",
        "wss://h:1/p?q=1",
        "ws://[::1]:8080/",
        "ws://[fe80::1%eth0]/",
        "ws://u:p@h/",
        "wss://bücher.example/päth?q=ü",
        "ws://xn--bcher-kva.example:65535",
        "ws://127.0.0.1",
        "ws://my_service.",
        f"ws://{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}",
    ],
)
def test_a_good_url_is_taken(url: str) -> None:
    """Hosts, ports, IPv6 addresses, userinfo and international names are fine."""
    assert Config(url=url).url == url


BAD: dict[str, list[Any]] = {
    "headers": [
        {"a b": "c"},
        {"a": "b\nc"},
        {"a": 1},
        {"Upgrade": "x"},
        {"": "x"},
        [("Sec-WebSocket-Key", "x")],
        {"a": " b"},
        {"a": "b\t"},
        {"a": "\u20ac"},
        {"a": "b\0"},
        {"a\u00e4": "b"},
        {"Content-Length": "5"},
        {"Transfer-Encoding": "chunked"},
        [("Host", "a"), ("host", "b")],
        None,
        5,
        ["a"],
        [("a", "b", "c")],
    ],
    "timeout": [0, -1, math.inf, math.nan, None, "5", True, 1e300, 10**400],
    "retry_count": [-1, 1.5, True, "3", 2**70],
    "max_redirects": [-1, None, 2**70],
    "retry_delay": [-1, math.inf, None],
    "max_backoff": [-1, math.nan],
    "stable_after": [-0.1],
    "heartbeat_interval": [0, -1],
    "heartbeat": ["PingPong", object()],
    "request_timeout": [0, math.inf],
    "latency_buffer_size": [0, -1, 1.0, 2**70],
    "subprotocols": ["chat", ["a b"], [""], ["a", "a"], [1], 5, ["\u00e4"]],
    "max_message_size": [0, -1, 1.5, 2**70],
    "inbox_size": [0, None, 2**70],
    "inbox_bytes": [0, -1, None, 1.5, True, 2**70],
    "overflow": ["explode", None],
    "close_timeout": [0, -1, math.inf, 1e18],
    "ssl_context": ["default", True],
    "http_client": ["httpx", httpx.Client()],
    "decode": ["xml", 5, None, []],
    "compression": ["deflate", 1, object()],
    "record_to": ["", "a\0b", "\udc80\ud800", b"session.jsonl", 5, True],
    "proxy": ["ftp://proxy", "nothing", 5, "http://proxy:70000", f"http://{'a' * 64}/"],
    "limiter": [5, object()],
    "limiter_timeout": [-1, math.inf, math.nan, "1", True],
    "connect_limiter": [5, "SlidingWindow"],
}


@pytest.mark.parametrize(
    ("option", "value"), [(option, value) for option, values in BAD.items() for value in values]
)
def test_a_value_that_can_never_work_is_refused(option: str, value: Any) -> None:
    """Each option refuses nonsense at birth, and the error names the option."""
    options: Any = {option: value}
    with pytest.raises(ConfigError, match=rf"^{option} "):
        Config(url=URL, **options)


@pytest.mark.parametrize(
    "headers",
    [{"X-Key": "s3cret\n"}, {"X-Key": "s3cret "}, {"X-Key": "s3cret\u20ac"}, ["s3cret"]],
)
def test_an_error_of_a_header_does_not_quote_its_value(headers: Any) -> None:
    """A header's value may be a secret: the error names the header only."""
    with pytest.raises(ConfigError, match=r"^headers ") as caught:
        Config(url=URL, headers=headers)

    assert "s3cret" not in f"{caught.value!r} {caught.value}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_largest_values_are_taken() -> None:
    """Counts up to the largest size of this machine, and times up to 100 years, are fine."""
    most = sys.maxsize
    config = Config(
        url=URL,
        retry_count=most,
        max_message_size=most,
        inbox_size=most,
        inbox_bytes=most,
        latency_buffer_size=most,
        timeout=3_000_000_000,
        headers={"X-Latin": "\u00e4", "X-Empty": "", "Content-Length": "0"},
    )

    assert config.max_message_size == most


def test_subprotocols_may_come_from_an_iterator() -> None:
    """Whatever gives the names is read once, and left alone."""
    names = ["a", "b"]
    config = Config(url=URL, subprotocols=iter(names))  # type: ignore[arg-type]

    assert config.subprotocols == ("a", "b")
    assert names == ["a", "b"]


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.sampled_from([0, 1, 2**31, 2**63, 2**64, 10**400, "", "json", "block", "http://a:1"]),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.lists(st.one_of(st.text(max_size=3), st.integers(), st.none()), max_size=3),
    st.dictionaries(st.text(max_size=3), st.one_of(st.text(max_size=3), st.none()), max_size=2),
    st.builds(object),
)


@given(
    option=st.sampled_from(sorted(ClientOptions.__annotations__)),
    other=st.sampled_from(sorted(ClientOptions.__annotations__)),
    values=st.tuples(ANYTHING, ANYTHING),
)
def test_any_value_is_taken_or_refused_with_the_options_name(
    option: str, other: str, values: tuple[Any, Any]
) -> None:
    """Whatever is given for an option, a config is made or a ConfigError names an option."""
    options: Any = dict(zip((option, other), values, strict=True))
    try:
        Config(url=URL, **options).endpoint()
    except ConfigError as error:
        assert error.option in ClientOptions.__annotations__, error  # noqa: PT017


@given(url=st.one_of(ANYTHING, st.from_regex(r"wss?://[^/]{0,8}(:[^/]{0,6})?/?.{0,5}")))
def test_any_url_is_taken_or_refused(url: Any) -> None:
    """Whatever is given as the URL, a config is made or a ConfigError says what is wrong."""
    try:
        config = Config(url=url)
    except ConfigError as error:
        assert error.option == "url"  # noqa: PT017
    else:
        assert 0 < (httpx.URL(url).port or 1) <= 65535
        assert config.safe_url


def test_two_ways_to_connect_are_refused() -> None:
    """A client of one's own has its own proxy and TLS settings."""
    client = httpx.AsyncClient()
    with pytest.raises(ConfigError, match="http_client"):
        Config(url=URL, http_client=client, proxy="http://proxy")
    with pytest.raises(ConfigError, match="http_client"):
        Config(url=URL, http_client=client, ssl_context=ssl.create_default_context())


async def test_redirects_are_not_followed_through_a_client_of_ones_own() -> None:
    """What a client of one's own sends to one origin is not ours to show to another."""
    async with httpx.AsyncClient() as client:
        with pytest.raises(ConfigError, match="max_redirects"):
            Config(url=URL, http_client=client, max_redirects=1)


def test_a_socks_proxy_needs_its_package() -> None:
    """A SOCKS proxy without its package is told with what to install."""
    with pytest.raises(ConfigError, match="httpx\\[socks\\]"):
        Config(url=URL, proxy="socks5://localhost")


def test_an_unknown_option_is_refused_by_name() -> None:
    """A misspelt option is not silently ignored, wherever it is given."""
    options: Any = {"retrycount": 3}
    for make in (lambda: Client(URL, **options), lambda: ChildSpec(URL, **options)):
        with pytest.raises(ConfigError, match="retrycount is not an option"):
            make()


def test_options_change_a_config() -> None:
    """A config with some options changed is another config; the first stays as it was."""
    config = Config(url=URL, timeout=1.0)

    assert Client(config, timeout=2.0).config.timeout == 2.0
    assert Client(config).config is not None
    assert config.timeout == 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.timeout = 3.0  # type: ignore[misc]


def test_every_option_is_a_keyword_everywhere() -> None:
    """What Config knows, connect() and its friends take, no more and no less."""
    names = {field.name for field in dataclasses.fields(Config)}

    assert names - {"url"} == set(ClientOptions.__annotations__)


def test_the_seeds_defaults_are_kept() -> None:
    """The defaults of the options that the seed has are the seed's."""
    config = Config(url=URL)

    assert (config.timeout, config.retry_count, config.retry_delay) == (5, 3, 1)
    assert (config.max_backoff, config.reconnect_on_error) == (30, True)
    assert (config.heartbeat_interval, config.request_timeout) == (30, 30)
    assert (config.latency_buffer_size, config.restore_subscriptions) == (100, True)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("headers", [("Authorization: Bearer s3cret", "")]),
        ("headers", {"Authorization": "s3cret\n"}),
        ("subprotocols", ["chat", "Bearer s3cret"]),
        ("subprotocols", ["s3cret", "s3cret"]),
        ("proxy", "ftp://user:s3cret@proxy"),
        ("url", "ws://user:s3cret@[::1"),
    ],
)
def test_a_refused_value_is_not_repeated(option: str, value: Any) -> None:
    """An error about an option that may be secret does not quote it."""
    with pytest.raises(ConfigError, match=rf"^{option} ") as caught:
        Config(**{"url": URL, option: value})
    assert "s3cret" not in f"{caught.value} {caught.value!r}"
    assert caught.value.__cause__ is None


def test_headers_come_as_a_mapping_or_as_pairs() -> None:
    """Headers are kept in order; a name may come twice in a sequence of pairs."""
    assert Config(url=URL, headers={"A": "1"}) == Config(url=URL, headers=[("A", "1")])
    pairs = [("A", "1"), ("A", "2")]
    assert Config(url=URL, headers=pairs).endpoint().headers == tuple(pairs)


def test_compression_is_on_unless_switched_off() -> None:
    """By default compression is offered; False and None offer none, a Deflate its own."""
    assert Config(url=URL).endpoint().compression == Deflate()
    assert Config(url=URL, compression=False).endpoint().compression is None
    assert Config(url=URL, compression=None).endpoint().compression is None
    own = Deflate(level=1)
    assert Config(url=URL, compression=own).endpoint().compression is own


def test_secrets_are_never_shown() -> None:
    """
    Neither a config, nor a client, nor what they are made of or give to the wire shows a
    secret.
    """
    heartbeats = (
        ClientPing(message={"op": "ping", "key": "s3cret"}, answer={"key": "s3cret"}),
        ServerBeat(expects={"key": "s3cret"}, timeout=1.0, answer="s3cret"),
    )
    config = Config(
        url="wss://user:s3cret@h/p?key=s3cret&s3cret",
        headers={"Authorization": "Bearer s3cret"},
        subprotocols=["s3cret"],
        proxy="http://user:s3cret@proxy",
        heartbeat=heartbeats,
        venue=Venue(calls=({"method": "auth", "params": ["s3cret"]},), heartbeat=heartbeats[0]),
    )
    client = Client(config)
    login = Login(request=lambda _: {"key": "s3cret"}, read=lambda _: Grant())
    grant, batch = Grant(refresh_token="s3cret"), Batch(("a",), {"key": "s3cret"})

    for shown in (
        config,
        client,
        client.url,
        config.endpoint(),
        ChildSpec(config),
        *heartbeats,
    ):
        assert "s3cret" not in f"{shown!r} {shown}"
    for part in (login, grant, batch, config.venue, outgoing({"key": "s3cret"})):
        assert "s3cret" not in f"{part!r} {part}"
    assert client.url == "wss://***@h/p?key=***&***"


@given(
    user=st.text("abc:%", min_size=1, max_size=5),
    value=st.text("0123", min_size=1, max_size=6),
    host=st.sampled_from(["h", "[::1]", "h:8080"]),
)
def test_redacting_keeps_only_what_is_public(user: str, value: str, host: str) -> None:
    """Whatever userinfo and query hold, only host, path and names remain."""
    assert redact_url(f"ws://{user}@{host}/p?a={value}&b=") == f"ws://***@{host}/p?a=***&b=***"
    assert redact_url(f"ws://{host}/p") == f"ws://{host}/p"
