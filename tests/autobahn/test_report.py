from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .report import Report
from .suite import Result

if TYPE_CHECKING:
    from pathlib import Path


def test_totals_are_by_section_and_of_all(tmp_path: Path) -> None:
    """Each section has its totals, for what was done and for how it ended."""
    report = Report(tmp_path)
    report.add(Result("1.1.1", "OK", "OK"), None)
    report.add(Result("1.2.1", "NON-STRICT", "INFORMATIONAL"), "an error")
    report.add(Result("12.1.1", "FAILED", "OK"), None)

    assert [line.split() for line in report.lines()][2:] == [
        ["1", "1", "1", "0", "0", "|", "1", "0", "1", "0"],
        ["12", "0", "0", "0", "1", "|", "1", "0", "0", "0"],
        ["all", "1", "1", "0", "1", "|", "2", "0", "1", "0"],
    ]


@pytest.mark.parametrize(("behavior", "end"), [("FAILED", "OK"), ("OK", "UNCLEAN")])
def test_a_bad_case_is_named_and_kept(tmp_path: Path, behavior: str, end: str) -> None:
    """A case that is bad in any way fails the run; a file has what was exchanged."""
    report = Report(tmp_path)
    result = Result("6.4.1", behavior, end, result="why", wirelog=[["RO", [1, "ff"]]])

    told = report.add(result, "LostError: gone")

    assert report.bad == ["6.4.1"]
    assert not report.passed
    assert "LostError: gone" in (told or "")
    assert "ff" in (tmp_path / "6.4.1.json").read_text()


@pytest.mark.parametrize("word", ["OK", "NON-STRICT", "INFORMATIONAL"])
def test_a_good_case_is_only_counted(tmp_path: Path, word: str) -> None:
    """What the suite accepts fails nothing and leaves no file."""
    report = Report(tmp_path)

    assert report.add(Result("5.1", word, word), None) is None
    assert report.passed
    assert not list(tmp_path.iterdir())


def test_a_run_of_no_cases_does_not_pass(tmp_path: Path) -> None:
    """Who mistypes the name of a case is not told that all is well."""
    assert not Report(tmp_path).passed
