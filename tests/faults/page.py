"""The tables of the page "What happens when", made of the faults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .bounds import AT_ONCE
from .fault import ENDED, SAME, Fault, Life
from .matrix import ATTEMPT_SUBJECTS, LIFE_SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "faults.md"
HEAD: Final = (
    "| what goes wrong | what the caller gets | `sent` | detected within | back within |\n"
    "|---|---|---|---|---|\n"
)
NOT_BY_ITSELF: Final = "not by itself"


def row(fault: Fault) -> str:
    """Return a fault's line of its table."""
    got, sent = (fault.shown or fault.caller, _sent(fault))
    return f"| {fault.words} | {got} | {sent} | {fault.detect.cell} | {_back(fault)} |\n"


def _sent(fault: Fault) -> str:
    if isinstance(fault, Life):
        return f"`{fault.sent}`" if fault.sent != "" else ""
    return "`False`" if fault.gets is not None else ""


def _back(fault: Fault) -> str:
    if fault.recover is None:
        return NOT_BY_ITSELF
    if isinstance(fault, Life):
        if fault.connection == ENDED:
            return NOT_BY_ITSELF
        return (
            f"{AT_ONCE.cell}, same connection"
            if fault.connection == SAME
            else fault.recover.cell
        )
    return "" if fault.gets is None else fault.recover.cell


def tables(subjects: Mapping[str, Sequence[Fault]]) -> str:
    """Return the tables of these faults, each under the heading of its subject."""
    return "\n".join(
        f"### {subject}\n\n{HEAD}{''.join(map(row, faults))}"
        for subject, faults in subjects.items()
    )


def numbered(text: str) -> Iterable[tuple[str, str]]:
    """Return the parts of the page that are written, by name."""
    return re.findall(r"<!-- begin (\w+) -->\n(.*?)<!-- end \1 -->", text, re.DOTALL)


def written() -> dict[str, str]:
    """Return what those parts should be."""
    return {
        "attempts": f"\n{tables(ATTEMPT_SUBJECTS)}\n",
        "lives": f"\n{tables(LIFE_SUBJECTS)}\n",
    }


def is_right(page: Path = PAGE) -> bool:
    """Tell whether the page says what the faults say."""
    return dict(numbered(page.read_text())) == written()


def write(page: Path = PAGE) -> None:
    """Write the tables into the page."""
    text = page.read_text()
    for name, part in written().items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        before, _, rest = text.partition(begin)
        text = before + begin + part + end + rest.partition(end)[2]
    page.write_text(text)
