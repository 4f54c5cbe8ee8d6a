from __future__ import annotations

import re
from pathlib import Path

from wsfleet import testing
from wsfleet.testing.deribit.methods import METHODS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "testing.md"


def test_every_public_name_of_the_kit_is_on_its_page() -> None:
    """What `wsfleet.testing` exports has its place in the reference, and nothing else."""
    text = PAGE.read_text()
    assert set(
        re.findall(r"^::: wsfleet\.testing\.([A-Z]\w+|echo|json_rpc)$", text, re.MULTILINE)
    ) == set(testing.__all__)


def test_every_method_of_the_mock_venue_is_on_its_page() -> None:
    """The page lists the methods that the mock venue has, and no others."""
    (table,) = re.findall(r"^\| method \|(.*?)\n\n", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"(?:public|private)/\w+", table)) == set(METHODS)
