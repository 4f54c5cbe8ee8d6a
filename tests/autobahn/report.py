"""Results become totals by section, and a verdict."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .suite import Result

GOOD: Final = ("OK", "NON-STRICT", "INFORMATIONAL")
_COLUMNS: Final = (*GOOD, "others")


def is_good(result: Result) -> bool:
    """Whether the suite is content with a case and with its end."""
    return result.behavior in GOOD and result.behavior_close in GOOD


class Report:
    """
    What came of the cases so far.

    Args:
        folder: gets a file for each case that is not good, with the bytes that were exchanged.

    Attributes:
        bad: the names of the cases that are not good.
    """

    def __init__(self, folder: Path) -> None:
        self.bad: list[str] = []
        self._folder = folder
        self._results: list[Result] = []

    def add(self, result: Result, error: str | None) -> str | None:
        """Take a result, and what the client raised; return what to say of a bad one."""
        self._results.append(result)
        if is_good(result):
            return None
        self.bad.append(result.id)
        file = self._folder / f"{result.id}.json"
        file.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
        return (
            f"{result.id}: {result.behavior} ({result.result}), "
            f"end {result.behavior_close} ({result.result_close}), "
            f"client: {error}, bytes: {file}"
        )

    @property
    def passed(self) -> bool:
        """Whether there were cases, and all are good."""
        return bool(self._results) and not self.bad

    def lines(self) -> Iterator[str]:
        """Write the totals: each section's, then those of all."""
        head = "".join(f"  {name}" for name in _COLUMNS)
        yield f"       {'behavior':^{len(head)}} |{'behaviorClose':^{len(head)}}"
        yield f"section{head} |{head}"
        sections = sorted({_section(result) for result in self._results})
        for section in sections:
            yield _row(str(section), [r for r in self._results if _section(r) == section])
        yield _row("all", self._results)


def _section(result: Result) -> int:
    return int(result.id.partition(".")[0])


def _row(name: str, results: list[Result]) -> str:
    return (
        f"{name:>7}{_totals([r.behavior for r in results])} |"
        f"{_totals([r.behavior_close for r in results])}"
    )


def _totals(behaviors: list[str]) -> str:
    counts = Counter(name if name in GOOD else "others" for name in behaviors)
    return "".join(f"  {counts[name]:>{len(name)}}" for name in _COLUMNS)
