from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from . import codec
from .codec import DecoderCase
from .handshake import HandshakeCase
from .runner import main, make_case
from .urls import UrlCase

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", [DecoderCase, HandshakeCase, UrlCase])
def test_made_up_inputs_do_nothing_that_none_may(kind: Any) -> None:
    """The first hundred inputs of each kind end as every input must."""
    for number in range(100):
        kind.make(Random(number)).check()


def test_a_seed_gives_the_same_inputs_again() -> None:
    """Who is told a seed can repeat a run; another seed is another run."""
    first = [make_case(5, number) for number in range(20)]

    assert first == [make_case(5, number) for number in range(20)]
    assert first != [make_case(6, number) for number in range(20)]


def test_an_input_that_fails_is_kept_and_can_be_replayed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What broke the codec is in a file, which breaks it again until it is mended."""

    def broken(*_: object, **__: object) -> None:
        raise IndexError

    with monkeypatch.context() as patch:
        patch.setattr(codec, "decode", broken)
        assert main(["--seed=7", "--seconds=30", f"--folder={tmp_path}"]) == 1
        (file,) = tmp_path.iterdir()
        assert main([f"--replay={file}"]) == 1
    assert main([f"--replay={file}"]) == 0
    shown = capsys.readouterr().out
    assert "seed 7" in shown
    assert "IndexError" in shown
    assert f"--replay {file}" in shown


def test_a_run_without_findings_says_what_came_of_the_inputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that finds nothing tells its seed and its outcomes, and leaves no file."""
    assert main(["--seed=5", "--seconds=0.2", f"--folder={tmp_path}"]) == 0

    shown = capsys.readouterr().out
    assert shown.startswith("seed 5")
    assert "DecoderCase messages" in shown
    assert not list(tmp_path.iterdir())
