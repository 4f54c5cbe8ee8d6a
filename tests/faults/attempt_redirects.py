"""Faults of an attempt in redirects and in proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wsfleet.errors import (
    ConnectError,
    ConnectRefusedError,
    ConnectTimeoutError,
    HandshakeRejectedError,
)
from wsfleet.venues import Grant, Login, Venue

from . import tls
from .attempt_http import status
from .attempt_network import SHORT, TRUSTING, UNTIL_TIMEOUT
from .bounds import RETRIED
from .fault import Attempt, Options
from .peer import answers, silent
from .stage import Stage

if TYPE_CHECKING:
    from .peer import Peer, Script
    from .scene import Scene

FOLLOWING: Final[dict[str, Any]] = {"max_redirects": 3}
FOR_NOW: Final[dict[str, Any]] = {"code": 302, "recover": RETRIED, "bad": 1}
"""What a redirect is that a later answer of the server may not have."""

LOGIN: Final = Login(request=lambda _: {"method": "login"}, read=lambda _: Grant())


def to(location: bytes) -> Script:
    """Return a script that redirects."""
    return status(b"302 Found", b"Location: " + location + b"\r\n")


def leads(name: str, words: str, location: bytes, says: str, **more: Any) -> Attempt:
    """Return the fault that a server redirects to where nobody can follow."""
    given: dict[str, Any] = {
        "options": FOLLOWING,
        "gets": HandshakeRejectedError,
        "recover": None,
        "bad": 9,
        "serve": to(location),
    }
    return Attempt(name=name, words=words, says=says, **(given | more))


async def _to_other(peer: Peer) -> None:
    await to(peer.stage.other_url.encode())(peer)


async def _to_closed_port(peer: Peer) -> None:
    port = peer.stage.hold_port()
    await to(f"ws://127.0.0.1:{port}/".encode())(peer)


async def _tunnel_and_end(peer: Peer) -> None:
    await peer.read_request()
    await peer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")


REDIRECTS: Final = (
    leads(
        "redirect-not-followed",
        "the server redirects, and `max_redirects` is 0",
        b"/elsewhere",
        "max_redirects",
        options={},
        code=302,
        quick=True,
    ),
    leads(
        "redirect-loop",
        "the server redirects to itself",
        b"/",
        "302",
        code=302,
        quick=True,
    ),
    leads(
        "redirect-without-location",
        "the server redirects and does not say where",
        b"",
        "",
        code=302,
        serve=status(b"302 Found"),
    ),
    leads(
        "redirect-to-another-scheme",
        "the server redirects to what is no WebSocket URL",
        b"ftp://127.0.0.1/",
        "no WebSocket URL",
        **FOR_NOW,
    ),
    leads(
        "redirect-to-impossible-host",
        "the server redirects to a host name that cannot be",
        b"ws://" + b"a" * 70 + b".example/",
        "redirects",
        quick=True,
        **FOR_NOW,
    ),
    leads(
        "redirect-to-impossible-port",
        "the server redirects to a port above 65535",
        b"ws://127.0.0.1:99999/",
        "redirects",
        **FOR_NOW,
    ),
    leads(
        "redirect-out-of-tls",
        "the server redirects from `wss://` to `ws://`",
        b"ws://127.0.0.1/",
        "wss:// to ws://",
        tls=tls.trusted,
        options=FOLLOWING | TRUSTING,
    ),
    leads(
        "redirect-with-a-login",
        "the server redirects to another origin, and the client would log in there",
        b"",
        "origin",
        serve=_to_other,
        options=FOLLOWING | {"venue": Venue(login=LOGIN)},
        quick=True,
    ),
    Attempt(
        name="redirect-to-closed-port",
        words="the server redirects to where nobody listens",
        serve=_to_closed_port,
        options=FOLLOWING,
        gets=ConnectRefusedError,
    ),
    Attempt(
        name="redirect-to-another-server",
        words="the server redirects to another server, and `max_redirects` allows it",
        serve=_to_other,
        options=FOLLOWING,
    ),
)


def through(**more: Any) -> Options:
    """Return the options of a client that connects through the stage's server as a proxy."""

    def options(scene: Scene) -> dict[str, Any]:
        return {"proxy": f"http://127.0.0.1:{scene.stage.port}"} | more

    return options


def _behind(scheme: str) -> Any:
    return lambda _: f"{scheme}://behind.example/"


PROXIES: Final = (
    Attempt(
        name="proxy-closed",
        words="nobody listens on the proxy's port",
        listens=False,
        heals=Stage.start,
        url=_behind("ws"),
        options=through(),
        gets=ConnectRefusedError,
    ),
    Attempt(
        name="proxy-wants-credentials",
        words="the proxy wants credentials",
        serve=status(b"407 Who Are You"),
        url=_behind("ws"),
        options=through(),
        gets=HandshakeRejectedError,
        code=407,
        recover=None,
        quick=True,
    ),
    Attempt(
        name="proxy-refuses-tunnel",
        words="the proxy refuses the tunnel to a `wss://` server",
        serve=status(b"403 No"),
        url=_behind("wss"),
        options=through(),
        gets=ConnectError,
        says="403",
        stays=True,
    ),
    Attempt(
        name="proxy-cannot-reach-server",
        words="the proxy cannot reach the server",
        serve=status(b"502 Bad Gateway"),
        url=_behind("ws"),
        options=through(),
        gets=HandshakeRejectedError,
        code=502,
    ),
    Attempt(
        name="proxy-speaks-another-protocol",
        words="the proxy is no HTTP proxy",
        serve=answers(b"\x05\x00garbage\r\n\r\n"),
        url=_behind("ws"),
        options=through(),
        gets=ConnectError,
        says="HTTP",
    ),
    Attempt(
        name="proxy-silent",
        words="the proxy takes the connection and says nothing",
        serve=silent,
        url=_behind("ws"),
        options=through(**SHORT),
        gets=ConnectTimeoutError,
        detect=UNTIL_TIMEOUT,
        quick=True,
    ),
    Attempt(
        name="proxy-ends-tunnel",
        words="the proxy opens the tunnel and ends it at once",
        serve=_tunnel_and_end,
        url=_behind("wss"),
        options=through(),
        gets=ConnectRefusedError,
        stays=True,
    ),
)
