"""What servers put into their errors, made safe to compare and to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST: Final = 1000
"""Characters of a server's text that an error of ours shows."""

_LARGEST: Final = 2**63
"""Bound of the numbers of errors; Python refuses to show integers of thousands of digits."""


def words(value: object, hide: Callable[[str], str] | None = None) -> str:
    """
    Return what a server said as text of bounded length.

    Args:
        value: what it said.
        hide: takes secrets out of the text, while it is whole.
    """
    try:
        text = value if isinstance(value, str) else str(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or deep nesting
        return f"a {type(value).__name__} that cannot be shown"
    text = text if hide is None else hide(text)
    return text if len(text) <= MOST else f"{text[:MOST]}... ({len(text)} characters)"


def number_of(code: object) -> int | None:
    """Return the number that a server gave its error, or None where it is no integer."""
    if isinstance(code, float) and code.is_integer():
        code = int(code)
    if not isinstance(code, int) or isinstance(code, bool):
        return None
    return code if -_LARGEST <= code < _LARGEST else None
