"""One port of a run's server: what it answers, and the faults that it goes through."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from typing import TYPE_CHECKING, Final

from .frames import CLOSE, TEXT, frame
from .log import Link
from .messages import response_text
from .peer import Peer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from .faults import Fault
    from .log import ServerLog

_EVENTS: Final = 0.1
"""Seconds between two bursts of events of a connection."""

_BURST: Final = 6
"""Events of a burst: more than the smallest inbox of a run holds."""

_RECEIVED: Final = 8192
"""Bytes that the system keeps for a server that does not read, so that its clients fill up."""

_RESTART: Final = 0.02
"""Seconds for which nothing listens while a server is restarted."""

_FROM_NOW_ON: Final = frozenset({"busy", "silent_upgrade", "cut_upgrade", "mute"})
"""Faults that meet new connections, too, for as long as they last."""

_ON_CONNECTIONS: Final = frozenset({"freeze", "deaf", "drip"})
"""Faults that single connections are healed of."""

_BUSY: Final = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class Endpoint:
    """
    Listens on a port of its own, the same one after each restart.

    Args:
        number: over all endpoints of the run.
        seed: of the run.
        log: takes what happens.
        tls: for `wss://`, or None.
    """

    def __init__(
        self, number: int, seed: int, log: ServerLog, tls: ssl.SSLContext | None
    ) -> None:
        self.number = number
        self.log = log
        self.peers: set[Peer] = set()
        self.mode = ""
        self.calm = False
        self.port = 0
        self._tls = tls
        self._rng = random.Random(f"{seed}/{number}/answers")
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Accept connections, on the same port as before."""
        sock = socket.create_server(("127.0.0.1", self.port), backlog=512)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED)
        self.port = sock.getsockname()[1]
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, sock=sock, ssl=self._tls)

    def _accept(self) -> Peer:
        link = Link(len(self.log.links), self.number)
        self.log.links.append(link)
        return Peer(self, link)

    async def send_events(self) -> None:
        """Send events to all that have subscribed to something, without end."""
        while True:
            await asyncio.sleep(_EVENTS)
            for peer in tuple(self.peers):
                for _ in range(_BURST):
                    peer.send_event()

    # answers

    def answer_upgrade(self, accepted: str) -> str:
        """Return the answer to an upgrade, which is `accepted` where no fault lasts."""
        match self.mode:
            case "busy":
                return _BUSY
            case "silent_upgrade":
                return ""
            case "cut_upgrade":
                return accepted[: len(accepted) // 2]
        return accepted

    def answer(self, peer: Peer, request_id: object, number: int) -> None:
        """Answer a request: now or later, in one frame or several, alone or among others."""
        rng = self._rng
        texts = [response_text(request_id, number)]
        stray = rng.random()
        if stray < 0.03:  # an answer to a request that was never made
            texts.insert(0, response_text(f"stray-{number}", number + 1))
        elif stray < 0.06:  # the same answer once more
            texts *= 2
        pieces = 3 if rng.random() < 0.1 else 1
        delay = rng.random()
        if delay < 0.5:
            peer.send_answer(number, texts, pieces)
        else:
            seconds = rng.uniform(0.2, 1.0) if delay > 0.97 else 0.03 * delay
            loop = asyncio.get_running_loop()
            loop.call_later(seconds, peer.send_answer, number, texts, pieces)

    # faults

    async def suffer(self, faults: Iterator[Fault]) -> None:
        """Go through one fault after the other; whatever ends this, all of them are healed."""
        try:
            for fault in faults:
                await asyncio.sleep(fault.pause)
                self.log.faults[fault.kind] = self.log.faults.get(fault.kind, 0) + 1
                await self._go_through(fault)
        finally:
            self.calm = True
            self.mode = ""
            for peer in tuple(self.peers):
                peer.heal(reset=peer.link.harmed is not None)
            if self._server is None:
                await self.listen()

    async def _go_through(self, fault: Fault) -> None:
        rng = random.Random(fault.seed)
        kind = fault.kind
        if kind in {"refuse", "restart"}:
            await self._stop_listening(fault)
            return
        if kind in _FROM_NOW_ON:
            self.mode = kind
        all_meet = kind == "mute"
        met = [
            p for p in self.peers if p.link.opened and (all_meet or rng.random() < fault.share)
        ]
        for peer in met:
            peer.harm(kind, written_by(fault, rng))
        if kind in _FROM_NOW_ON | _ON_CONNECTIONS | {"close_silent"}:
            await asyncio.sleep(fault.seconds)
            self.mode = ""
        if kind in _ON_CONNECTIONS:
            for peer in met:
                peer.heal(reset=not fault.heals)

    async def _stop_listening(self, fault: Fault) -> None:
        assert self._server is not None
        self._server.close()
        self._server = None
        for peer in tuple(self.peers):
            peer.harm("reset" if fault.kind == "refuse" else "fin", b"")
        await asyncio.sleep(fault.seconds if fault.kind == "refuse" else _RESTART)
        await self.listen()


def written_by(fault: Fault, rng: random.Random) -> bytes:
    """Return the bytes that a fault writes to a connection; none for most."""
    match fault.kind:
        case "garbage":
            return rng.randbytes(rng.randrange(1, 200))
        case "close" | "close_silent":
            code = b"" if fault.code is None else struct.pack("!H", fault.code) + b"chaos"
            return frame(CLOSE, code)
        case "cut":
            whole = frame(TEXT, response_text("cut", rng.randrange(1000)) + b" " * 300)
            return whole[: rng.randrange(1, len(whole))]
    return b""
