"""
Holds the page "Coming from ZenWebsocket" to what both libraries offer.

Rule: a name of wsfleet on the page is one that exists: a public name, an attribute of one, a
parameter (`connect(handler=)`), an option, an event in the log, or a command.
"""

from __future__ import annotations

import builtins
import dataclasses
import inspect
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import wsfleet
import wsfleet.testing
from tests.docs.test_pages import first_column
from wsfleet import Config

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "how-to" / "zenwebsocket.md").read_text()
SEED: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("zenwebsocket.toml").read_text()
)
COMMANDS = re.findall(
    r"^## `(wsfleet \w+)", (ROOT / "docs/reference/command.md").read_text(), re.MULTILINE
)
OPTIONS = {field.name for field in dataclasses.fields(Config)}


def rows(section: str) -> list[list[str]]:
    """Return the cells of a section's table."""
    text = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    body = next(part for part in text if part.startswith(f"{section}\n"))
    lines = [line for line in body.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def offered(section: str) -> list[str]:
    """Return the names that the seed has under a heading."""
    told = SEED[section]
    functions = told.get("functions", {})
    methods = [f"{module}.{name}" for module, names in functions.items() for name in names]
    return [*told.get("names", ()), *methods]


def look_up(path: str) -> Any:
    """
    Return what a dotted path names.

    Raises:
        AttributeError: nothing has this name.
    """
    first, *others = path.split(".")
    found = getattr(wsfleet, first, None)
    if found is None:
        found = getattr(builtins, first)
    for name in others:
        if name in inspect.get_annotations(found):
            return None  # an attribute of each instance
        found = getattr(found, name)
    return found


def exists(name: str) -> bool:
    """Tell whether a name of the page is one of wsfleet's."""
    if name in OPTIONS or name in COMMANDS or name in first_column("events.md"):
        return True
    if call := re.fullmatch(r"([\w.]+)\((\w+)=\)", name):
        return call[2] in inspect.signature(look_up(call[1])).parameters
    try:
        look_up(name)
    except AttributeError:
        return False
    return True


@pytest.mark.parametrize("section", SEED)
def test_everything_of_the_seed_has_its_row(section: str) -> None:
    """Whatever one used there is found on the page, once under its heading, and no more."""
    found = [row[0].replace("`", "") for row in rows(section)]

    assert Counter(found) == Counter(offered(section))


@pytest.mark.parametrize("section", SEED)
def test_whatever_the_page_names_exists(section: str) -> None:
    """Each name that the page gives in exchange is one that can be used as it stands."""
    names = {name for row in rows(section) for name in re.findall(r"`([^`]+)`", row[1])}

    assert [name for name in sorted(names) if not exists(name)] == []


@pytest.mark.parametrize("section", SEED)
def test_what_has_no_counterpart_says_why(section: str) -> None:
    """A row has names of wsfleet, or "none" and the reason."""
    for theirs, ours, difference in rows(section):
        assert re.fullmatch(r"none|`[^`]+`(, `[^`]+`)*", ours), theirs
        assert ours != "none" or difference, f"{theirs} has no counterpart, and no reason"


def test_a_name_that_does_not_exist_is_found_out() -> None:
    """Invented names, attributes, parameters, options and events are told from real ones."""
    invented = (
        "Klient",
        "Client.resubscribe",
        "connect(retries=)",
        "client.exploded",
        "retries",
    )

    assert not any(exists(name) for name in invented)


def test_the_table_of_differences_is_whole() -> None:
    """Each difference in behaviour says what is there, what is here, and why."""
    table = rows("What behaves differently, and why")

    assert len(table) >= 12
    assert all(len(row) == 3 and all(row) for row in table)
