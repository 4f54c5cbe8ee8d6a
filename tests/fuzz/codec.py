"""
The decoder, fed with anything.

What must hold: the outcome is messages or a `ProtocolViolation`, the same for every split of
the bytes; what was sent by the rules arrives as it was sent; no message is larger than the
limit; and no more memory is taken than a few times the limit.
"""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tests.wire.frames import decode, pieces
from wsfleet._wire.decoder import Decoder
from wsfleet._wire.deflate import Inflater
from wsfleet._wire.frames import ProtocolViolation

from .mutation import damage
from .streams import Server

if TYPE_CHECKING:
    from random import Random
    from typing import Self

LIMITS: Final = (0, 1, 10, 125, 126, 1000, 3000, 65535, 100_000)
CODES: Final = (1002, 1007, 1009)
TIMES_LIMIT: Final = 12
"""
Deflated parts and their join, with zlib's end; inflated blocks and their join; text, which
takes up to four bytes for a byte.
"""
TIMES_READ: Final = 4
ALWAYS: Final = 300_000
"""Bytes for zlib's windows, and for us."""


class DecoderCase(msgspec.Struct, frozen=True, tag="decoder"):
    """
    What one connection brings.

    Attributes:
        data: all of its bytes.
        splits: where to cut them into reads, several ways.
        limit: the largest message.
        bits: of the server's window; None where no compression was agreed.
        takeover: whether messages share a window.
        expected: what must come of it, entry by entry; None where it was damaged.
        measured: whether to look at the memory, which takes time.
    """

    data: bytes
    splits: list[list[int]]
    limit: int | None
    bits: int | None
    takeover: bool
    expected: list[str] | None
    measured: bool

    @classmethod
    def make(cls, rng: Random) -> Self:
        """Make one up."""
        bits = rng.choice((None, rng.randint(9, 15)))
        takeover = rng.random() < 0.7
        limit = rng.choice((None, rng.choice(LIMITS)))
        measured = rng.random() < 0.2
        server = Server(rng, bits, takeover=takeover, bombs=0.3 if measured else 0.01)
        for _ in range(rng.randint(1, 8)):
            server.send_something()
        if rng.random() < 0.2:
            server.send_goodbye()
        data = server.data
        intact = rng.random() < 0.2
        if not intact:
            data = (
                rng.randbytes(rng.randint(0, 300)) if rng.random() < 0.1 else damage(rng, data)
            )
        cuts = [
            [rng.randrange(1 << 30) for _ in range(rng.choice((1, 3, 20)))] for _ in range(2)
        ]
        certain = intact and limit is None
        known = [repr(message) for message in server.messages] if certain else None
        return cls(data, cuts, limit, bits, takeover, known, measured)

    def check(self) -> str:
        """Return in a word what came of it; raise when it is nothing that may be."""
        whole = self._decode([self.data])
        violations = [entry for entry in whole if isinstance(entry, int)]
        assert not violations or violations[0] in CODES, f"failed with {violations}"
        if self.expected is not None:
            assert self.expected == [repr(entry) for entry in whole], "not what was sent"
        for reads in self._ways():
            assert self._decode(reads) == whole, f"another outcome for {len(reads)} reads"
        if self.limit is not None:
            self._check_limit(whole, self.limit)
        return str(violations[0]) if violations else "messages"

    def _ways(self) -> list[list[bytes]]:
        ways = [pieces(self.data, cuts) for cuts in self.splits]
        return [*ways, pieces(self.data, list(range(min(len(self.data), 2000))))]

    def _inflater(self) -> Inflater | None:
        return None if self.bits is None else Inflater(self.bits, takeover=self.takeover)

    def _decode(self, reads: list[bytes]) -> list[Any]:
        return decode(*reads, limit=self.limit, inflater=self._inflater())

    def _check_limit(self, entries: list[Any], limit: int) -> None:
        for entry in entries:
            if not isinstance(entry, int) and entry[0] in {"text", "binary"}:
                data = entry[1].encode() if entry[0] == "text" else entry[1]
                assert len(data) <= limit, f"{len(data)} bytes, {limit} were allowed"
        if self.measured:
            self._check_memory(limit)

    def _check_memory(self, limit: int) -> None:
        for reads in ([self.data], self._ways()[0]):
            most = max(map(len, reads))
            allowed = ALWAYS + TIMES_LIMIT * limit + TIMES_READ * most
            assert self._memory(reads) <= allowed, f"more than {allowed} bytes of memory"

    def _memory(self, reads: list[bytes]) -> int:
        decoder = Decoder(_Nobody(), max_message_size=self.limit, inflater=self._inflater())
        tracemalloc.start()
        try:
            for read in reads:
                decoder.feed(read)
        except ProtocolViolation:
            pass  # the other checks judge it
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return peak


class _Nobody:
    """Keeps nothing of what a decoder delivers, so that what is held is the decoder's."""

    def on_text(self, data: Any) -> None: ...

    def on_binary(self, data: bytes) -> None: ...

    def on_ping(self, payload: bytes) -> None: ...

    def on_pong(self, payload: bytes) -> None: ...

    def on_close(self, code: int | None, reason: str) -> None: ...
