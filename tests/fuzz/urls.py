"""
URLs, right and nearly so, with secrets in them.

What must hold: a URL is refused with a `ConfigError` that shows nothing of it, or it is shown
without what httpx, which connects to it, takes for its userinfo or the values of its query.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import httpx
import msgspec

from wsfleet import Config
from wsfleet._wire.redact import redact_url
from wsfleet.errors import ConfigError

from .mutation import damage_text

if TYPE_CHECKING:
    from random import Random
    from typing import Self

SECRET: Final = "s3cr3t"
_SHAPES: Final = (
    "ws://user:{0}@host/path",
    "wss://{0}@host:8443/?a=1",
    "ws://user:{0}@[::1]:80/",
    "ws://host/path?token={0}&b=2",
    "ws://host?{0}",
    "ws://u:{0}@host/a/b?x={0}&{0}&y",
    "{0}",
)
_ALPHABET: Final = "@:/?#[]\\%&=;.! \t\n2F4\u00e4\uff20\u2100"


class UrlCase(msgspec.Struct, frozen=True, tag="url"):
    """One URL, as a user may write it."""

    url: str

    @classmethod
    def make(cls, rng: Random) -> Self:
        """Make one up."""
        head, *rest = rng.choice(_SHAPES).split("{0}")
        damaged = [damage_text(rng, part, _ALPHABET) for part in rest]
        return cls(SECRET.join([damage_text(rng, head, _ALPHABET), *damaged]))

    def check(self) -> str:
        """Return in a word what came of it; raise when it is nothing that may be."""
        try:
            config = Config(url=self.url)
        except ConfigError as error:
            self._check_refused(error)
            return "refused"
        real = httpx.URL(self.url)
        hidden = f"{real.userinfo.decode()} {_values(real.query.decode())}"
        shown = config.safe_url
        open_parts = self.url.count(SECRET) - hidden.count(SECRET)
        assert shown.count(SECRET) <= open_parts, f"shown: {shown}"
        return "shown"

    def _check_refused(self, error: ConfigError) -> None:
        with contextlib.suppress(ValueError):  # of what was refused, some is no URL at all
            redact_url(self.url)
        told = f"{error} {error.__cause__}"
        assert SECRET not in told, "the error shows the secret"


def _values(query: str) -> str:
    pairs = (pair.partition("=") for pair in query.split("&"))
    return " ".join(value if equals else name for name, equals, value in pairs)
