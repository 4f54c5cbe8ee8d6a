from __future__ import annotations

import httpx
import pytest

from wsfleet._wire.handshake import HandshakeError
from wsfleet._wire.redirects import Target, check_other_origin, target_of


def follow(location: str | None, came_from: str, status: int = 302) -> Target | None:
    """Ask where such an answer leads."""
    headers = [] if location is None else [(b"location", location.encode())]
    return target_of(status, httpx.Headers(headers), came_from)


@pytest.mark.parametrize(
    ("came_from", "location", "url", "same_origin"),
    [
        ("ws://a/x", "/y?z=1", "ws://a/y?z=1", True),
        ("ws://a:81/x", "y", "ws://a:81/y", True),
        ("wss://u:p@a/x", "/y", "wss://u:p@a/y", True),
        ("wss://u:p@a/x", "https://a/y", "wss://u:p@a/y", True),
        ("ws://a/", "https://a/", "wss://a/", True),
        ("ws://a/", "wss://a:8443/", "wss://a:8443/", False),
        ("ws://a:81/", "wss://a/", "wss://a/", False),
        ("wss://a/", "wss://b/", "wss://b/", False),
        ("wss://u:p@a/", "//b/", "wss://b/", False),
        ("ws://a/", "http://b/#part", "ws://b/", False),
    ],
)
def test_where_a_redirect_leads(
    came_from: str, location: str, url: str, same_origin: bool
) -> None:
    """Paths, hosts and schemes are followed; only the same origin may see our secrets."""
    assert follow(location, came_from) == Target(url, same_origin)


@pytest.mark.parametrize(
    "location", ["ws://a/", "http://a/", "ws://b/", "ftp://a/", "//[::1", "x:", "\x00"]
)
def test_where_nobody_should_follow(location: str) -> None:
    """TLS is never given up, and what is no WebSocket URL leads nowhere."""
    with pytest.raises(HandshakeError, match="redirects"):
        follow(location, "wss://a/")


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("ws://a:99999/", "a port that is no number"),
        ("ws://a:0/", "a port that is no number"),
        ("ws://a:-1/", "a port that is no number"),
        ("ws://a:8_0/", "a port that is no number"),
        ("ws://a:+80/", "a port that is no number"),
        ("ws://a:x/", "no WebSocket URL"),
        ("ws://" + "a" * 70 + ".example/", "label of more than 63"),
        ("ws://" + "a." * 130 + "b/", "more than 253"),
        ("ws://a..b/", "empty label"),
        ("ws://.a/", "empty label"),
        ("wss:///path", "names no host"),
        ("https:path", "names no host"),
        ("ws://xn--0.example/", "IDNA"),
        ("ws://\u2603\u200d/", "no WebSocket URL"),
        ("ws://user:password@a/", "a user or a password"),
        ("//user@b/", "a user or a password"),
        ("ws://a/" + "b" * 70_000, "no WebSocket URL"),
    ],
)
def test_an_impossible_redirect_ends_one_attempt(location: str, problem: str) -> None:
    """A URL to which nothing can connect is told with the status, and may be tried again."""
    with pytest.raises(HandshakeError, match=problem) as caught:
        follow(location, "ws://u:p@here/")

    assert caught.value.status == 302
    assert caught.value.recoverable
    assert "password@" not in str(caught.value)


@pytest.mark.parametrize(("location", "status"), [(None, 302), ("/y", 200), ("/y", 304)])
def test_what_is_no_redirect(location: str | None, status: int) -> None:
    """Without a place to go, or another status, an answer is a refusal."""
    assert follow(location, "ws://a/", status) is None


@pytest.mark.parametrize(
    ("logs_in", "subprotocols", "refused"),
    [
        (False, (), None),
        (False, ("graphql-ws", "mqtt"), None),
        (False, ("graphql-ws", "bearer.abc"), "subprotocol"),
        (True, (), "login"),
    ],
)
def test_another_origin_gets_no_login(
    logs_in: bool, subprotocols: tuple[str, ...], refused: str | None
) -> None:
    """A redirect across origins is refused where a login or a token would follow it."""
    there = Target("ws://b/?token=s3cret", same_origin=False)
    same = Target("ws://a/", same_origin=True)

    check_other_origin(same, 302, logs_in=logs_in, subprotocols=subprotocols)
    if refused is None:
        check_other_origin(there, 302, logs_in=logs_in, subprotocols=subprotocols)
        return
    with pytest.raises(HandshakeError, match=refused) as caught:
        check_other_origin(there, 302, logs_in=logs_in, subprotocols=subprotocols)
    assert caught.value.status == 302
    assert not {"s3cret", "bearer"} & set(str(caught.value).replace("=", " ").split())
