from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from wsfleet import connect, venues
from wsfleet.errors import HandshakeRejectedError
from wsfleet.testing import MockServer, json_rpc
from wsfleet.venues import Venue

if TYPE_CHECKING:
    from collections.abc import MutableMapping

QUICK: dict[str, Any] = {"retry_count": 0, "close_timeout": 1.0}


async def test_secrets_are_in_no_log(
    caplog: pytest.LogCaptureFixture, log_entries: list[MutableMapping[str, Any]]
) -> None:
    """
    With every logger of every library at debug, no secret of URL, headers or messages is
    logged.
    """
    caplog.set_level(logging.DEBUG)
    async with MockServer(json_rpc) as server:
        caplog.clear()
        url = server.url.replace("ws://", "ws://user:s3cret1@") + "/?key=s3cret2"
        headers = {"Authorization": "Bearer s3cret3"}
        async with connect(url, headers=headers, debug=True) as client:
            await client.request("login", {"token": "s3cret4"})
            shown = repr(client) + repr(client.config)
        server.refuse(status=403)
        with pytest.raises(HandshakeRejectedError) as caught:
            async with connect(url, headers=headers):
                pytest.fail("never connected")
        shown += repr(caught.value) + str(caught.value)
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("wsfleet.testing")]
    assert "s3cret" not in shown + repr(ours) + repr(log_entries)


async def test_a_redirect_is_followed_when_asked_for() -> None:
    """With max_redirects a client goes where it is sent, headers and all on the same origin."""
    async with MockServer(json_rpc) as server:
        server.refuse(status=302, headers={"location": "/there"}, times=2)
        async with connect(
            server.url, headers={"x-key": "s3cret"}, max_redirects=2, retry_count=0
        ) as client:
            assert await client.request("ping", [1]) == [1]
        assert [request.path for request in server.requests] == ["/", "/there", "/there"]
        assert [request.headers["x-key"] for request in server.requests] == ["s3cret"] * 3


async def test_another_origin_sees_no_secrets() -> None:
    """Headers and userinfo that were meant for one server are not shown to another."""
    async with MockServer(json_rpc) as server, MockServer(json_rpc) as other:
        server.refuse(status=307, headers={"location": other.url.replace("ws", "http", 1)})
        url = server.url.replace("//", "//user:s3cret@")
        async with connect(url, headers={"x-key": "s3cret"}, max_redirects=1) as client:
            assert await client.request("ping", [1]) == [1]
        assert server.requests[0].headers["x-key"] == "s3cret"
        assert "authorization" in server.requests[0].headers
        shown = set(other.requests[0].headers)
        assert not shown & {"x-key", "authorization"}


@pytest.mark.parametrize(
    "options",
    [
        {"venue": venues.deribit(client_id="id", client_secret="s3cret")},
        {"venue": Venue(calls=({"method": "auth", "params": ["s3cret"]},))},
        {"subprotocols": ["chat", "bearer.s3cret"]},
    ],
    ids=["login", "calls", "subprotocol"],
)
async def test_another_origin_gets_no_login(options: dict[str, Any]) -> None:
    """
    A redirect to another origin is refused while a login, calls of the venue or a token in a
    subprotocol would follow it, also on a way that leads back; `cross_origin_login` allows it.
    """
    async with MockServer(json_rpc) as server, MockServer(json_rpc) as other:
        server.refuse(status=302, headers={"location": other.url + "/?key=s3cret"}, times=2)
        other.refuse(status=302, headers={"location": server.url})
        with pytest.raises(HandshakeRejectedError, match="cross_origin_login") as caught:
            async with connect(server.url, max_redirects=3, **options, **QUICK):
                pytest.fail("never connected")
        assert caught.value.status == 302
        assert "s3cret" not in str(caught.value) + repr(caught.value)
        assert not other.requests

        async with connect(
            server.url, max_redirects=3, cross_origin_login=True, **options, **QUICK
        ):
            assert len(other.requests) == 1


async def test_names_of_protocols_go_along() -> None:
    """Another origin is offered the subprotocols that only name a protocol."""
    async with MockServer() as server, MockServer(json_rpc, subprotocols=["mqtt"]) as other:
        server.refuse(status=302, headers={"location": other.url})
        async with connect(
            server.url, max_redirects=1, subprotocols=["mqtt"], **QUICK
        ) as client:
            assert await client.request("ping", [1]) == [1]


async def test_a_reconnect_begins_at_the_first_url() -> None:
    """What a redirect led to is not remembered: the next attempt begins where the user said."""
    async with MockServer() as server, MockServer(json_rpc) as other:
        server.refuse(status=302, headers={"location": other.url}, times=2)
        async with connect(server.url, max_redirects=1, headers={"x-key": "s3cret"}) as client:
            await client.reconnect()
            assert await client.request("ping", [1]) == [1]
        assert [request.headers["x-key"] for request in server.requests] == ["s3cret"] * 2
        assert not [r for r in other.requests if "x-key" in r.headers]


async def test_redirects_are_not_followed_without_being_asked() -> None:
    """A redirect is a refusal, and so is one more than may be followed."""
    async with MockServer() as server:
        for most in (0, 1):
            server.refuse(status=301, headers={"location": "/there"}, times=most + 1)
            with pytest.raises(HandshakeRejectedError, match="max_redirects"):
                async with connect(server.url, max_redirects=most):
                    pytest.fail("never connected")
