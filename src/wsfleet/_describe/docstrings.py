"""
Docstrings in Google's style, taken apart.

A parser of our own, because `describe` is part of the core, whose dependencies are few.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TITLES: Final = frozenset({"Args", "Attributes", "Raises", "Returns", "Yields"})
_ITEM: Final = re.compile(r"(\*{0,2}[\w.]+):(?:\s+|$)(.*)")


@dataclass(frozen=True, slots=True)
class Docstring:
    """
    What a docstring says.

    Attributes:
        summary: the first paragraph.
        description: the other paragraphs, wherever they stand.
        args: descriptions by parameter, without asterisks.
        attributes: descriptions by attribute.
        raises: exceptions, each with when.
        returns: what is returned or yielded.
    """

    summary: str
    description: str
    args: Mapping[str, str]
    attributes: Mapping[str, str]
    raises: tuple[tuple[str, str], ...]
    returns: str


def parse(text: str | None) -> Docstring:
    """Take a docstring apart."""
    prose, sections = _split(inspect.cleandoc(text or "").splitlines())
    paragraphs = [_paragraph(each) for each in re.split(r"\n\s*\n", "\n".join(prose).strip())]
    returns = sections.get("Returns") or sections.get("Yields") or []
    return Docstring(
        summary=paragraphs[0],
        description="\n\n".join(paragraphs[1:]),
        args={name.lstrip("*"): said for name, said in _items(sections.get("Args", ()))},
        attributes=dict(_items(sections.get("Attributes", ()))),
        raises=tuple(_items(sections.get("Raises", ()))),
        returns=" ".join(" ".join(returns).split()),
    )


def _split(lines: Iterable[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Part the lines that belong to a section from those that do not."""
    prose: list[str] = []
    sections: dict[str, list[str]] = {}
    current = prose
    for line in lines:
        if line.endswith(":") and line[:-1] in _TITLES:
            current = sections.setdefault(line[:-1], [])
            continue
        if line and not line[0].isspace():  # what is not indented ends a section
            current = prose
        current.append(line)
    return prose, sections


def _items(lines: Iterable[str]) -> list[tuple[str, str]]:
    items: list[tuple[str, str]] = []
    for line in textwrap.dedent("\n".join(lines)).splitlines():
        if found := _ITEM.match(line):
            items.append((found[1], found[2]))
        elif items:
            name, said = items[-1]
            items[-1] = (name, f"{said} {line.strip()}".strip())
    return items


def _paragraph(text: str) -> str:
    """Join the lines of a paragraph; what is drawn or listed stays as it is."""
    drawn = any(line[:1].isspace() for line in text.splitlines())
    return text if drawn else " ".join(text.split())
