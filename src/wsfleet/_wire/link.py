"""
The narrow door to the network: what a WebSocket needs of the bytes below it.

Two things satisfy it: `PushLink` (asyncio and uvloop: the event loop calls us) and `PullLink`
(any `httpcore` stream, on any loop: we read).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

HIGH_WATER: Final = 64 * 1024
"""Bytes written but not taken by the network above which a link is `full`."""

LOW_WATER: Final = 16 * 1024
"""Bytes at which a full link has room again."""

LINK: Final = "wsfleet.link"
"""Name under which a network stream of ours hands out its link."""


class Taker(Protocol):
    """Who takes what arrives over a link."""

    place: Callable[[], memoryview | None]
    """Asked where the next bytes can be put instead of being fed; a link need not ask."""

    behind: bool
    """
    Whether bytes that were fed still wait. The link then reads no more, and calls `feed` with
    no bytes, once in each turn of the event loop, until all are taken.
    """

    def feed(self, data: bytes | memoryview) -> None:
        """
        Take bytes as they arrive, or go on with those that wait; a view of them is good for
        this call only.
        """

    def placed(self, size: int) -> None:
        """Take bytes that were put there."""

    def on_writable(self) -> None:
        """Take note that a full link has room again."""

    def on_link_ended(self, error: Exception | None) -> None:
        """Take note, once, of what broke the link, or None at its orderly end."""


class Link(Protocol):
    """
    One duplex stream of bytes after the upgrade.

    `write` takes the bytes whole, now, and never waits: whoever minds the size of the buffer
    looks at `full` first. Once the link has ended, `write` does nothing.
    """

    pumped: ClassVar[bool]
    """Whether `pump` has to run for bytes to move; else the event loop moves them."""

    full: bool
    """Whether more than `HIGH_WATER` bytes wait to be taken by the network."""

    def is_closing(self) -> bool:
        """Whether bytes written now would be lost."""

    def start(self, taker: Taker) -> None:
        """
        Begin to deliver.

        Args:
            taker: who takes what arrives, until the link has ended.
        """

    def write(self, data: bytes) -> None:
        """Hand bytes to the network, whole."""

    def pause_reading(self) -> None:
        """Take no more bytes from the network until `resume_reading`."""

    def resume_reading(self) -> None:
        """Take bytes again."""

    def abort(self) -> None:
        """Give the socket up at once; what was not taken by the network is lost."""

    async def pump(self) -> None:
        """Do the link's reading and writing until it ends."""

    async def aclose(self) -> None:
        """Free what the link holds beside its socket."""
