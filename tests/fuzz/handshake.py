"""
The judge of a server's answer, given anything.

What must hold: the answer is agreed or a `HandshakeError`; nothing is agreed that was not
offered, nor without the right accept header; and no error shows the client's key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx
import msgspec

from wsfleet._wire.deflate import Deflate
from wsfleet._wire.handshake import HandshakeError, accept_key, check_answer

from .mutation import damage_text

if TYPE_CHECKING:
    from random import Random
    from typing import Self

KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD: Final = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Accept", accept_key(KEY)),
)
OFFERED: Final = ("v1", "v2.example")
_ANSWERS: Final = (
    ("Sec-WebSocket-Protocol", "v1"),
    ("Sec-WebSocket-Protocol", "v2.example"),
    ("Sec-WebSocket-Extensions", "permessage-deflate"),
    ("Sec-WebSocket-Extensions", 'permessage-deflate; server_max_window_bits="10"'),
    ("Sec-WebSocket-Extensions", "permessage-deflate; client_no_context_takeover"),
    ("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover"),
    ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=8"),
    ("Connection", "keep-alive, upgrade"),
    ("Retry-After", "120"),
)
_ALPHABET: Final = "aZ09 \t;,=\"'/._-\x00\x7f\u00b2\u00df\u00ff"
_LONGEST_TEXT: Final = 300


class HandshakeCase(msgspec.Struct, frozen=True, tag="handshake"):
    """
    One answer to one upgrade.

    Attributes:
        status: its HTTP status.
        headers: its headers, in latin-1.
        subprotocols: what was offered.
        deflate: whether compression was offered.
        bits: the window that was asked of the server.
    """

    status: int
    headers: list[tuple[str, str]]
    subprotocols: tuple[str, ...]
    deflate: bool
    bits: int | None

    @classmethod
    def make(cls, rng: Random) -> Self:
        """Make one up."""
        headers = [*GOOD, *rng.choices(_ANSWERS, k=rng.randint(0, 2))]
        for _ in range(rng.choice((0, 0, 1, 3))):
            at = rng.randrange(len(headers))
            name, value = headers[at]
            headers[at] = (name, damage_text(rng, value, _ALPHABET))
        if rng.random() < 0.2:
            headers.remove(rng.choice(headers))
        rng.shuffle(headers)
        return cls(
            101 if rng.random() < 0.9 else rng.choice((0, 100, 200, 301, 403, 503, 999)),
            headers,
            OFFERED[: rng.randint(0, 2)],
            rng.random() < 0.7,
            rng.choice((None, 8, 10, 15)),
        )

    def check(self) -> str:
        """Return in a word what came of it; raise when it is nothing that may be."""
        raw = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers
        ]
        offered = Deflate(server_max_window_bits=self.bits) if self.deflate else None
        try:
            agreed = check_answer(
                status=self.status,
                http_version=b"HTTP/1.1",
                headers=httpx.Headers(raw),
                key=KEY,
                subprotocols=self.subprotocols,
                offered_deflate=offered,
            )
        except HandshakeError as error:
            _check_words(str(error))
            return "refused"
        assert self.status == httpx.codes.SWITCHING_PROTOCOLS
        assert ("Sec-WebSocket-Accept", accept_key(KEY)) in self.headers
        assert agreed.subprotocol is None or agreed.subprotocol in self.subprotocols
        assert agreed.deflate is None or self.deflate
        return "agreed"


def _check_words(error: str) -> None:
    assert KEY not in error, "the error shows the key"
    assert len(error) <= _LONGEST_TEXT, "the error is as long as the server likes"
