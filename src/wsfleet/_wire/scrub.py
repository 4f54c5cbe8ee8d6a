"""
Removal of secrets from errors before they leave the library.

Tracebacks can be rendered with the local variables of each frame, and while a connection is
opened these hold URLs, headers and logins, in our frames and in those of the libraries below.
The texts of these libraries quote headers and parts of URLs.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypeVar

import h11
import httpcore
import httpx
import httpx_ws

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    ErrorT = TypeVar("ErrorT", bound=BaseException)

_QUOTING: Final = (
    h11.ProtocolError,
    httpcore.ProtocolError,
    httpx.InvalidURL,
    httpx.ProtocolError,
    httpx.UnsupportedProtocol,
    httpcore.UnsupportedProtocol,
)
"""Errors whose texts quote what was sent, what came, or the URL."""

_QUOTATION: Final = re.compile(r""":|\s+\(?b?['"]|\s*bytearray""")
_ANY_SURROGATE: Final = "\ud800"
"""Stands in an error for the text that could not be encoded."""

_OWN_PACKAGE: Final = __name__.partition(".")[0]
MACHINERY: Final = frozenset(
    {
        "aiofastnet",
        "anyio",
        "certifi",
        "h11",
        "h2",
        "hpack",
        "httpcore",
        "httpx",
        "httpx_ws",
        "hyperframe",
        "idna",
        "outcome",
        "sniffio",
        "socksio",
        "trio",
        "uvloop",
        "wsfleet",
        "wsproto",
        *sys.stdlib_module_names,
    }
)
"""Top packages whose code runs while a client connects, and is not the user's."""


def scrub(error: ErrorT) -> ErrorT:
    """
    Return the error with the frames of user code alone, and without texts in which libraries
    quote secrets; so for what it was raised from.

    Args:
        error: one that leaves the library; it is changed.
    """
    for each in list(_chain(error)):
        if each.__suppress_context__ and each.__context__ is not each.__cause__:
            each.__context__ = None
        _scrub_content(each)
    return without_own_frames(error, MACHINERY)


def without_own_frames(
    error: ErrorT, packages: Collection[str] = frozenset({_OWN_PACKAGE})
) -> ErrorT:
    """
    Return the error with tracebacks that have no frames of this package, but those of user
    code; so for what it was raised from.

    Args:
        error: what user code raised; it is changed.
        packages: top packages whose frames are left out.
    """
    for each in list(_chain(error)):
        kept: TracebackType | None = None
        for part in reversed(list(_parts(each.__traceback__))):
            package = str(part.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
            if package not in packages:
                kept = TracebackType(kept, part.tb_frame, part.tb_lasti, part.tb_lineno)
        each.__traceback__ = kept
    return error


def unquoted(text: str) -> str:
    """Return a library's text up to the first thing that it quotes."""
    return _QUOTATION.split(text, maxsplit=1)[0]


def encode_error(error: UnicodeEncodeError) -> UnicodeEncodeError:
    """Return an error like this one, without the text that could not be encoded."""
    reason = f"{error.reason} at position {error.start} of the text; nothing was sent"
    return UnicodeEncodeError(error.encoding, _ANY_SURROGATE, 0, 1, reason)


def _scrub_content(error: BaseException) -> None:
    if isinstance(error, _QUOTING):
        error.args = (unquoted(str(error)),)
    if isinstance(error, UnicodeEncodeError | UnicodeDecodeError):
        # `object` is what could not be converted, and cannot be replaced without `args`.
        error.object = "" if isinstance(error, UnicodeEncodeError) else b""
        error.args = (error.encoding, error.object, error.start, error.end, error.reason)
    if isinstance(error, httpx_ws.WebSocketUpgradeError):  # a `Location` may have a token
        error.response = httpx.Response(error.response.status_code)
        error.args = ()
    if isinstance(error, httpx.RequestError):
        with suppress(AttributeError):
            del error._request  # noqa: SLF001 - has the URL and all headers


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, its causes and contexts, and what is in groups among these."""
    seen: set[int] = set()
    ahead: list[BaseException | None] = [error]
    while ahead:
        each = ahead.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            ahead += each.exceptions
        ahead += (each.__cause__, each.__context__)


def _parts(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next
