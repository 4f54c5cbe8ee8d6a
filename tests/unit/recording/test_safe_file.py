from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wsfleet._client.journal import open_any_file, open_file

if TYPE_CHECKING:
    from collections.abc import Callable

on_posix = pytest.mark.skipif(os.name != "posix", reason="about users and modes of files")


def as_link(path: Path) -> None:
    """Put a symbolic link there, to a file that exists."""
    target = path.with_name("target")
    target.touch(mode=0o600)
    path.symlink_to(target)


def as_dangling_link(path: Path) -> None:
    """Put a symbolic link there, to a file that would be made."""
    path.symlink_to(path.with_name("target"))


def as_shared(mode: int) -> Callable[[Path], None]:
    """Return what puts a file there that others can write."""

    def make(path: Path) -> None:
        path.touch()
        path.chmod(mode)

    return make


def as_pipe(path: Path) -> None:
    """Put a named pipe there."""
    os.mkfifo(path)


KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "link": (as_link, "symbolic link"),
    "dangling link": (as_dangling_link, "symbolic link"),
    "all": (as_shared(0o602), "other users"),
    "group": (as_shared(0o660), "other users"),
    "pipe": (as_pipe, "regular file"),
    "folder": (Path.mkdir, "directory"),
}


@on_posix
@pytest.mark.parametrize("kind", KINDS)
def test_files_that_others_may_have_put_there_are_refused(tmp_path: Path, kind: str) -> None:
    """
    Symbolic links, pipes, and files that others can write are refused at once, with the reason,
    and nothing is written or made.
    """
    make, reason = KINDS[kind]
    path = tmp_path / "session.jsonl"
    make(path)

    with pytest.raises(OSError, match=reason) as caught:
        open_file(path)
    assert kind == "folder" or "record_unsafe" in str(caught.value)
    target = path.with_name("target")
    assert target.exists() is (kind == "link")


@on_posix
def test_files_of_other_users_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that another user made is refused: that user can read what is written."""
    path = tmp_path / "session.jsonl"
    path.touch(mode=0o600)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)

    with pytest.raises(OSError, match="another user"):
        open_file(path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors cannot be counted")
def test_what_is_refused_is_closed(tmp_path: Path) -> None:
    """A refused file leaves no descriptor behind."""
    path = tmp_path / "session.jsonl"
    as_shared(0o666)(path)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counts, and needs no Path

    with pytest.raises(OSError, match="other users"):
        open_file(path)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - as above


@on_posix
def test_an_own_file_is_taken(tmp_path: Path) -> None:
    """A new file is for its owner only; one that others can read keeps its mode."""
    new, old = tmp_path / "new", tmp_path / "old"
    old.touch()
    old.chmod(0o644)
    for path, mode in ((new, 0o600), (old, 0o644)):
        file = open_file(path)
        file.write(memoryview(b"ours"))
        file.close()
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert path.read_bytes() == b"ours"


@on_posix
@pytest.mark.parametrize("kind", ["link", "dangling link", "all", "pipe"])
def test_all_files_are_taken_when_asked_for(tmp_path: Path, kind: str) -> None:
    """With `record_unsafe`, links are followed and pipes and files of others are written."""
    path = tmp_path / "session.jsonl"
    KINDS[kind][0](path)
    if kind == "pipe" and sys.platform != "linux":
        pytest.skip("only Linux opens a pipe for both directions")

    file = open_any_file(path)
    assert file.write(memoryview(b"ours")) == 4
    file.close()
