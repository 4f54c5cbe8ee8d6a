"""What one kind of message looks like, as a user says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .callables import refuse_coroutine

Matcher: TypeAlias = str | Mapping[str, Any] | Callable[[Any], object]
"""
Tells one kind of message: a str equals it, a mapping is part of it (mappings in it, too), a
function says whether it is one.
"""


def matches(matcher: Matcher, data: Any) -> bool:
    """Whether decoded data is what a matcher tells."""
    if isinstance(matcher, Mapping):
        return contains(data, matcher)
    if isinstance(matcher, str):
        return bool(data == matcher)
    found = matcher(data)
    refuse_coroutine(found)
    return bool(found)


def contains(whole: Any, part: Any) -> bool:
    """Whether a mapping is part of decoded data, its nested mappings too."""
    if not isinstance(part, Mapping):
        return bool(whole == part)
    return isinstance(whole, dict) and all(
        key in whole and contains(whole[key], value) for key, value in part.items()
    )
