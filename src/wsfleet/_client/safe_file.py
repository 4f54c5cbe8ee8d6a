"""
Opening of files that only their owner can change, for data that is secret.

Rule: what is opened is judged by its descriptor, so that nothing can be put in its place
between the check and the use.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

_IS_POSIX: Final = os.name == "posix"
_OWNER_ONLY: Final = 0o600
_SAFE_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Without O_NONBLOCK, a named pipe is waited for until somebody reads it."""


def open_owner_only(path: str, flags: int) -> int:
    """
    Open a file whatever it is; one that is made can be read by its owner only. An `opener` for
    `open`.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, flags, _OWNER_ONLY)


def open_safely(path: str, flags: int) -> int:
    """
    Open a regular file that belongs to this user and that nobody else can write, or make one.
    An `opener` for `open`.

    On Windows only symbolic links, pipes and devices are told; whose a file is, is not.

    Raises:
        OSError: it cannot be opened, or is none of these: a symbolic link, a pipe, a device, or
            a file that belongs to or can be written by another user.
    """
    if not _IS_POSIX and Path(path).is_symlink():
        raise _unsafe(path, "is a symbolic link")
    try:
        fd = os.open(path, flags | _SAFE_FLAGS, _OWNER_ONLY)
    except OSError as exc:
        if exc.errno != errno.ELOOP:
            raise
        problem: str | None = "is a symbolic link"
    else:
        problem = _problem_of(os.fstat(fd))
        if problem is None:
            return fd
        os.close(fd)
    raise _unsafe(path, problem)


def _problem_of(file: os.stat_result) -> str | None:
    """Return why a file is not safe, or None where it is."""
    if not stat.S_ISREG(file.st_mode):
        return "is no regular file"
    if not _IS_POSIX:
        return None
    if file.st_uid != os.geteuid():
        return "belongs to another user"
    if file.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "can be written by other users (`chmod go-w` corrects that)"
    return None


def _unsafe(path: str, problem: str | None) -> OSError:
    return OSError(f"{path} {problem}: choose another path, or set record_unsafe=True")
