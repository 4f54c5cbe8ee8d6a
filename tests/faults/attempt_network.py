"""Faults of an attempt below HTTP: names, addresses, TCP and TLS."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from wsfleet.errors import (
    ConnectRefusedError,
    ConnectTimeoutError,
    DnsError,
    TlsError,
)

from . import tls
from .bounds import sum_of
from .fault import Attempt
from .peer import silent
from .stage import Stage

if TYPE_CHECKING:
    from .peer import Peer

SHORT: Final[dict[str, Any]] = {"timeout": 0.3}
TRUSTING: Final = {"ssl_context": tls.trusting()}
UNTIL_TIMEOUT: Final = sum_of("timeout")
RETRIED_UNTIL_TIMEOUT: Final = sum_of("retry_delay", "timeout")
FIRST_HALF: Final = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso"


async def _reset_at_once(peer: Peer) -> None:
    peer.reset()


async def _end_at_once(peer: Peer) -> None:
    peer.close_socket()


async def _reset_after_request(peer: Peer) -> None:
    await peer.read_request()
    peer.reset()


async def _end_after_request(peer: Peer) -> None:
    await peer.read_request()


async def _half_and_end(peer: Peer) -> None:
    await peer.read_request()
    await peer.write(FIRST_HALF)


async def _half_and_silence(peer: Peer) -> None:
    await _half_and_end(peer)
    await peer.read_to_end()


async def _drip(peer: Peer) -> None:
    await peer.read_request()
    await peer.write(b"HTTP/1.1 101 Switching Protocols\r\n")
    while True:
        await peer.write(b"x: y\r\n")
        await asyncio.sleep(0.02)  # servers run on asyncio


async def _hello_and_end(peer: Peer) -> None:
    await peer.read_some()


async def _hello_and_reset(peer: Peer) -> None:
    await peer.read_some()
    peer.reset()


async def _bad_request(peer: Peer) -> None:
    await peer.read_some()
    await peer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


async def _alert(peer: Peer) -> None:
    await peer.read_some()
    await peer.write(b"\x15\x03\x03\x00\x02\x02\x28")  # handshake_failure (RFC 8446 6.2)


def _wss(stage: Stage) -> str:
    return stage.url.replace("ws://", "wss://")


TCP: Final = (
    Attempt(
        name="name-unknown",
        words="the host name does not resolve",
        url=lambda _: "ws://no-such-host.invalid/",
        gets=DnsError,
        says="does not resolve",
        detect=UNTIL_TIMEOUT,
        recover=RETRIED_UNTIL_TIMEOUT,
        stays=True,
    ),
    Attempt(
        name="port-closed",
        words="nobody listens on the port",
        listens=False,
        heals=Stage.start,
        gets=ConnectRefusedError,
        says="127.0.0.1",
        quick=True,
    ),
    Attempt(
        name="address-unreachable",
        words="the network has no way to the address",
        url=lambda stage: f"ws://255.255.255.255:{stage.port}/",
        gets=ConnectRefusedError,
        stays=True,
    ),
    Attempt(
        name="backlog-full",
        words="the server is too busy to take TCP connections",
        url=lambda stage: f"ws://127.0.0.1:{stage.fill_backlog()}/",
        options=SHORT,
        gets=ConnectTimeoutError,
        detect=UNTIL_TIMEOUT,
        recover=RETRIED_UNTIL_TIMEOUT,
        stays=True,
        quick=True,
    ),
    Attempt(
        name="localhost-over-ipv4",
        words="the name resolves to two addresses, and the server listens on one of them",
        url=lambda stage: f"ws://localhost:{stage.port}/",
        quick=True,
    ),
    Attempt(
        name="accepted-then-silent",
        words="the server takes the TCP connection and says nothing",
        serve=silent,
        options=SHORT,
        gets=ConnectTimeoutError,
        says=r"0\.3 s",
        detect=UNTIL_TIMEOUT,
        quick=True,
    ),
    Attempt(
        name="accepted-then-reset",
        words="the server resets the TCP connection at once",
        serve=_reset_at_once,
        gets=ConnectRefusedError,
        quick=True,
    ),
    Attempt(
        name="accepted-then-ended",
        words="the server ends the TCP connection at once",
        serve=_end_at_once,
        gets=ConnectRefusedError,
    ),
    Attempt(
        name="reset-after-request",
        words="the server resets the connection instead of answering the upgrade",
        serve=_reset_after_request,
        gets=ConnectRefusedError,
    ),
    Attempt(
        name="ended-after-request",
        words="the server ends the connection instead of answering the upgrade",
        serve=_end_after_request,
        gets=ConnectRefusedError,
        says="without an answer",
    ),
    Attempt(
        name="head-cut",
        words="the server ends the connection in the middle of its answer",
        serve=_half_and_end,
        gets=ConnectRefusedError,
        quick=True,
    ),
    Attempt(
        name="head-half-then-silent",
        words="the server sends half of its answer and no more",
        serve=_half_and_silence,
        options=SHORT,
        gets=ConnectTimeoutError,
        detect=UNTIL_TIMEOUT,
    ),
    Attempt(
        name="head-drips",
        words="the server sends its answer slowly and never ends it",
        serve=_drip,
        options=SHORT,
        gets=ConnectTimeoutError,
        detect=UNTIL_TIMEOUT,
    ),
)

TLS: Final = (
    Attempt(
        name="certificate-expired",
        words="the certificate has expired",
        tls=tls.expired,
        options=TRUSTING,
        gets=TlsError,
        says="expired",
        recover=None,
        quick=True,
    ),
    Attempt(
        name="certificate-not-yet-valid",
        words="the certificate is not valid yet",
        tls=tls.not_yet,
        options=TRUSTING,
        gets=TlsError,
        says="not yet valid",
        recover=None,
    ),
    Attempt(
        name="certificate-unknown",
        words="nobody that the client trusts has signed the certificate",
        tls=tls.unknown,
        options=TRUSTING,
        gets=TlsError,
        says="certificate was refused",
        recover=None,
        quick=True,
    ),
    Attempt(
        name="certificate-of-another-host",
        words="the certificate is that of another host",
        tls=tls.other_host,
        options=TRUSTING,
        gets=TlsError,
        says="certificate was refused",
        recover=None,
        quick=True,
    ),
    Attempt(
        name="tls-to-plain-server",
        words="the URL is `wss://`, and the server speaks without TLS",
        serve=_bad_request,
        url=_wss,
        options=TRUSTING,
        gets=TlsError,
        stays=True,
        quick=True,
    ),
    Attempt(
        name="plain-to-tls-server",
        words="the URL is `ws://`, and the server speaks TLS",
        tls=tls.trusted,
        url=lambda stage: stage.url.replace("wss://", "ws://"),
        gets=ConnectRefusedError,
        stays=True,
    ),
    Attempt(
        name="tls-silent",
        words="the server does not answer the beginning of TLS",
        serve=silent,
        url=_wss,
        options=TRUSTING | SHORT,
        gets=ConnectTimeoutError,
        detect=UNTIL_TIMEOUT,
        recover=RETRIED_UNTIL_TIMEOUT,
        stays=True,
        quick=True,
    ),
    Attempt(
        name="tls-cut",
        words="the server ends the connection while TLS begins",
        serve=_hello_and_end,
        url=_wss,
        options=TRUSTING,
        gets=ConnectRefusedError,
        stays=True,
        quick=True,
    ),
    Attempt(
        name="tls-reset",
        words="the server resets the connection while TLS begins",
        serve=_hello_and_reset,
        url=_wss,
        options=TRUSTING,
        gets=ConnectRefusedError,
        stays=True,
    ),
    Attempt(
        name="tls-alert",
        words="the server refuses the TLS handshake with an alert",
        serve=_alert,
        url=_wss,
        options=TRUSTING,
        gets=TlsError,
        says="handshake",
        stays=True,
    ),
    Attempt(
        name="alpn-http2-chosen",
        words="the client's `ssl_context` offers HTTP/2, and the server chooses it",
        tls=tls.only_h2,
        options={"ssl_context": tls.offering_h2()},
        gets=TlsError,
        says="h2",
        recover=None,
    ),
    Attempt(
        name="alpn-http2-alone",
        words="the server offers HTTP/2 alone in ALPN, but takes the upgrade",
        tls=tls.only_h2,
        options=TRUSTING,
    ),
)
