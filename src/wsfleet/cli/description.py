"""What `describe` says, for people: indented text, no wider than a terminal of old."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_WIDTH: Final = 80
_INDENT: Final = " " * 4

_LISTS: Final = ("parameters", "attributes", "methods", "values", "members", "raises")
"""What is listed, in this order, each row under its name."""


def written(told: Mapping[str, Any]) -> str:
    """Write a description as text."""
    return "\n\n".join(_blocks(told))


def _blocks(told: Mapping[str, Any]) -> Iterator[str]:
    yield f"{told['name']} ({told['kind']})"
    for key in ("signature", "definition"):
        if told.get(key):
            yield _wrapped(told[key], _INDENT, hanging=_INDENT * 2)
    if told["kind"] == "attribute":
        yield _wrapped(_typed(told), _INDENT)
    if told["kind"] == "value":
        yield _INDENT + repr(told["value"])
    if told["summary"]:
        yield _wrapped(told["summary"])
    if told["description"]:
        yield _prose(told["description"])
    if told.get("returns", {}).get("description"):
        yield "returns\n" + _wrapped(told["returns"]["description"], _INDENT)
    for key in _LISTS:
        if told.get(key):
            yield "\n".join([key, *_rows(told[key])])


def _rows(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield _wrapped(_heading(row), _INDENT, hanging=_INDENT * 3)
        if said := row.get("description") or row.get("summary") or row.get("when"):
            yield _wrapped(said, _INDENT * 2)


def _heading(row: Mapping[str, Any]) -> str:
    if "when" in row:
        return str(row["type"])
    if "value" in row:
        return f"{row['name']} = {row['value']!r}"
    if "summary" in row:
        return f"{row.get('signature') or row['name']} ({row['kind']})"
    return f"{row['name']}: {_typed(row)}"


def _typed(row: Mapping[str, Any]) -> str:
    default = "" if row["default"] is None else f" = {row['default']}"
    return f"{row['type'] or 'Any'}{default}"


def _prose(text: str) -> str:
    """Wrap the paragraphs; what is drawn stays as it is."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(p if "\n" in p else _wrapped(p) for p in paragraphs)


def _wrapped(text: str, indent: str = "", hanging: str | None = None) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
