from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

import wsfleet
from wsfleet import Config, errors
from wsfleet._client.states import Step

ROOT = Path(__file__).parent.parent.parent
REFERENCE = ROOT / "docs" / "reference"


def first_column(page: str) -> list[str]:
    """Return what stands in code in the first column of a page's tables."""
    text = (REFERENCE / page).read_text()
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def test_every_setting_is_on_its_page_with_its_default() -> None:
    """
    The settings page lists the options of Config, with their true defaults, and no others.
    """
    text = (REFERENCE / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.+?)` \|", text, re.MULTILINE))
    fields = {f.name: repr(f.default) for f in dataclasses.fields(Config) if f.name != "url"}

    assert rows == fields


def test_every_event_is_on_its_page() -> None:
    """The events page lists what the code can log, and nothing else."""
    code = "\n".join(p.read_text() for p in (ROOT / "src" / "wsfleet").glob("_*/*.py"))
    logger = r"[Ll]og(?:\([^()]*\))?(?:\.\w+|_\w+)?"
    logged = set(re.findall(logger + r'\(\s*(?:["\w]+, )?"([a-z]+\.[a-z_]+)"', code))

    assert logged | {step.value for step in Step} == set(first_column("events.md"))


def test_every_public_name_is_in_the_reference() -> None:
    """Every public class and function of the package has its place in the API page."""
    listed = set(
        re.findall(r"^::: wsfleet\.(\w+)$", (REFERENCE / "api.md").read_text(), re.MULTILINE)
    )
    public = {
        name
        for name in wsfleet.__all__
        if inspect.isclass(getattr(wsfleet, name)) or inspect.isfunction(getattr(wsfleet, name))
    }

    assert public - listed == {"Config", "ClientOptions"}  # the settings page
    assert listed <= public


@pytest.mark.parametrize("name", ["delivery.md"])
def test_every_error_of_a_send_is_explained(name: str) -> None:
    """The page about delivery names every error that a send can raise."""
    text = (ROOT / "docs" / "explanation" / name).read_text()
    sends = {
        cls.__name__
        for cls in vars(errors).values()
        if inspect.isclass(cls) and issubclass(cls, errors.SendError)
    }

    assert {error for error in sends if f"`{error}`" not in text} == {"SendError"}


def test_every_option_of_the_command_is_on_its_page() -> None:
    """The page of the command has a row for each option of its commands."""
    code = (ROOT / "src" / "wsfleet" / "cli" / "app.py").read_text()
    commands = code[code.index("@app.command()") :]
    options = re.findall(
        r"^    (\w+): Annotated\[[^=]*?typer\.Option\(", commands, re.MULTILINE
    )

    expected = {f"--{option.replace('_', '-')}" for option in options}
    assert {"--clients", "--serve"} <= expected
    assert expected == set(first_column("command.md"))


def test_every_example_is_shown_as_it_is() -> None:
    """The page of whole programs includes each file of the folder, and no copy of one."""
    page = (ROOT / "docs" / "how-to" / "examples.md").read_text()
    files = {f"examples/{p.name}" for p in (ROOT / "examples").glob("*.py") if p.stem[0] != "_"}

    assert set(re.findall(r'^--8<-- "(.+)"$', page, re.MULTILINE)) == files
    assert len(files) == 3
