"""Faults that end a connection, or leave it silent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from wsfleet import Gap, PingPong, ProtocolError, UnmatchedResponse
from wsfleet.errors import DisconnectedError, RequestTimeoutError

from . import tls
from .acts import ask, end, while_asked
from .attempt_http import status
from .attempt_network import TRUSTING
from .bounds import AT_ONCE, CLOSED_AND_RETRIED, sum_of
from .fault import ENDED, SAME, Life
from .peer import TEXT, close_frame, frame, then, writes

if TYPE_CHECKING:
    from .peer import Peer
    from .scene import Scene

BEAT: Final[dict[str, Any]] = {"heartbeat": PingPong(interval=0.1, timeout=0.3)}
BEAT_TIMES: Final = {"interval": 0.1, "heartbeat timeout": 0.3}
MISSED: Final = sum_of("interval", "heartbeat timeout")


def lost(name: str, words: str, **more: Any) -> Life:
    """Return the fault that a connection is lost while a request is in flight."""
    given: dict[str, Any] = {"act": ask, "gets": DisconnectedError, "sent": None}
    return Life(name=name, words=words, **(given | more))


def closed(code: int, words: str, reason: str = "", **more: Any) -> Life:
    """Return the fault that a server sends a close frame while a request is in flight."""
    return lost(
        f"close-{code}",
        words,
        serve=_closes(close_frame(code, reason)),
        code=code,
        says=reason,
        **more,
    )


def _closes(data: bytes) -> Any:
    async def harm(peer: Peer, _: Any) -> None:
        peer.closing = True
        await peer.write(data)

    return then(harm)


def broken_close(name: str, words: str, payload: bytes, **more: Any) -> Life:
    """Return the fault that a server sends a close frame that cannot be."""
    given: dict[str, Any] = {"tells": 1002, "events": (ProtocolError, Gap)}
    return lost(name, words, serve=writes(frame(8, payload)), **(given | more))


async def _reset(peer: Peer, _: Any) -> None:
    peer.reset()


async def _end(peer: Peer, _: Any) -> None:
    peer.close_socket()


async def _cut(peer: Peer, _: Any) -> None:
    await peer.write(frame(TEXT, b'{"id": 1, "result": "right"}')[:20])
    peer.close_socket()


async def _silence(peer: Peer, _: Any) -> None:
    await peer.hold()


async def _ignore(peer: Peer, _: Any) -> None:
    return


async def _answer_late(peer: Peer, request: dict[str, Any]) -> None:
    later = await peer.message()
    await peer.answer(request)
    await peer.answer(later)


async def _data_without_pongs(peer: Peer, request: dict[str, Any]) -> None:
    for n in range(30):
        await peer.say(str(n))
        await asyncio.sleep(0.1)
    await peer.answer(request)


async def _close_and_hold(peer: Peer, _: Any) -> None:
    await peer.write(close_frame(1001))
    await peer.hold()


async def _close_and_go_on(peer: Peer, request: dict[str, Any]) -> None:
    peer.closing = True
    await peer.write(close_frame(1000))
    await peer.answer(request)


async def _end_below_tls(peer: Peer, _: Any) -> None:
    peer.end_below_tls()


async def _garbage_below_tls(peer: Peer, _: Any) -> None:
    peer.write_below_tls(b"\x17\x03\x03\x00\x20" + b"x" * 32)


async def _well_then_503(peer: Peer) -> None:
    if peer.number > 1:
        await status(b"503 Busy")(peer)
        return
    await peer.start()
    peer.reset()


async def _restart(scene: Scene) -> None:
    await scene.stage.stop()
    await scene.stage.start()


ENDS: Final = (
    lost("reset", "the connection is reset", serve=then(_reset), quick=True),
    lost(
        "ended",
        "the peer ends the connection without a close frame",
        serve=then(_end),
        says="closed the socket",
        quick=True,
    ),
    lost("frame-cut", "the connection ends in the middle of a frame", serve=then(_cut)),
    lost(
        "half-open",
        "the peer is gone and nothing says so: a heartbeat finds it",
        serve=then(_silence),
        options=BEAT,
        values=BEAT_TIMES,
        says="silent",
        detect=MISSED,
        logs=("heartbeat.missed",),
        quick=True,
    ),
    lost(
        "restart",
        "the server is restarted on the same port",
        serve=then(_ignore),
        act=while_asked(_restart),
        quick=True,
    ),
    lost(
        "overloaded-for-a-while",
        "the connection is reset, and the server answers 503 before it is well again",
        serve=_well_then_503,
        bad=2,
        recover=sum_of("retry_delay", "retry_delay", "retry_delay"),
        quick=True,
    ),
    lost(
        "not-to-be-reconnected",
        "the connection is reset, and `reconnect_on_error` is false",
        serve=then(_reset),
        act=end,
        options={"reconnect_on_error": False},
        connection=ENDED,
    ),
    Life(
        name="answer-never-comes",
        words="the server never answers one request, and all others",
        serve=then(_ignore),
        act=ask,
        options={"request_timeout": 0.3},
        gets=RequestTimeoutError,
        sent=None,
        detect=sum_of("request_timeout"),
        connection=SAME,
        quick=True,
    ),
    Life(
        name="answer-comes-late",
        words="the answer comes after the request's timeout",
        serve=then(_answer_late),
        act=ask,
        options={"request_timeout": 0.3},
        gets=RequestTimeoutError,
        sent=None,
        detect=sum_of("request_timeout"),
        connection=SAME,
        events=(UnmatchedResponse,),
        quick=True,
    ),
    Life(
        name="data-without-pongs",
        words="the server answers no pings, but its messages keep coming",
        serve=then(_data_without_pongs),
        act=ask,
        options={"heartbeat": PingPong(interval=0.1, timeout=1.0)},
        detect=sum_of(seconds=3.0),
        connection=SAME,
    ),
    lost(
        "tls-ended",
        "the peer ends TLS without a close frame",
        tls=tls.trusted,
        options=TRUSTING,
        serve=then(_end),
        quick=True,
    ),
    lost(
        "tls-truncated",
        "the peer ends TCP without ending TLS",
        tls=tls.trusted,
        options=TRUSTING,
        serve=then(_end_below_tls),
        recover=CLOSED_AND_RETRIED,
        quick=True,
    ),
    lost(
        "tls-record-broken",
        "bytes of the connection are not what TLS has signed",
        tls=tls.trusted,
        options=TRUSTING,
        serve=then(_garbage_below_tls),
        recover=CLOSED_AND_RETRIED,
    ),
    lost(
        "reset-with-tls",
        "a connection with TLS is reset",
        tls=tls.trusted,
        options=TRUSTING,
        serve=then(_reset),
    ),
)

CLOSES: Final = (
    closed(1000, "the server has finished", quick=True),
    closed(1001, "the server goes away", "bye"),
    closed(1008, "the client breaks a rule of the server", "too many requests", quick=True),
    closed(1009, "the client's message is too large for the server"),
    closed(1011, "the server has met an error that it did not expect"),
    closed(1012, "the server is about to restart", "maintenance", quick=True),
    closed(1013, "the server is overloaded"),
    closed(3000, "the client is not authorized", "token expired"),
    closed(4001, "the venue has a code of its own, and a reason as long as can be", "é" * 61),
    lost(
        "close-without-code",
        "the server's close frame has no code",
        serve=_closes(frame(8)),
        code=1005,
    ),
    lost(
        "close-and-hold",
        "the server sends a close frame and never ends the connection",
        serve=then(_close_and_hold),
        code=1001,
        recover=CLOSED_AND_RETRIED,
        detect=AT_ONCE,
        quick=True,
    ),
    lost(
        "close-and-go-on",
        "the server answers the request after its close frame",
        serve=then(_close_and_go_on),
        code=1000,
    ),
    broken_close(
        "close-code-1006", "the close frame has a code that is never sent", b"\x03\xee"
    ),
    broken_close(
        "close-code-999", "the close frame has a code that does not exist", b"\x03\xe7"
    ),
    broken_close(
        "close-of-one-byte", "the close frame has half of a code", b"\x03", quick=True
    ),
    broken_close(
        "close-reason-not-utf-8",
        "the reason of the close frame is not UTF-8",
        b"\x03\xe8\xff",
        tells=1007,
    ),
)
