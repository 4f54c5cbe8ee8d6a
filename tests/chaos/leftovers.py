"""What a run must not leave behind: sockets, threads, objects, warnings, logged errors."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from structlog.testing import capture_logs

from .accounting import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

_FD_FOLDER: Final = Path("/proc/self/fd")
_UNEXPECTED: Final = frozenset({"error", "critical"})

_CACHED: Final = {"wsfleet._wire.upgrade.UpgradeClient": 8}
"""Objects that are kept on purpose, and how many of them at most."""


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds at a moment."""

    sockets: frozenset[str]
    threads: frozenset[threading.Thread]
    objects: Counter[str]

    @classmethod
    def now(cls) -> Held:
        """Look, after the garbage is gone."""
        gc.collect()
        threads = frozenset(t for t in threading.enumerate() if not t.daemon)
        return cls(frozenset(_open_sockets()), threads, _our_objects())

    def left_since(self, before: Held) -> Iterator[Violation]:
        """Return what is there now and was not before."""
        for name in self.sockets - before.sockets:
            yield Violation("no_socket_left", name)
        for thread in self.threads - before.threads:
            yield Violation("no_thread_left", thread.name)
        for kind, count in (self.objects - before.objects).items():
            if self.objects[kind] > _CACHED.get(kind, 0):
                yield Violation("no_object_left", f"{count} of {kind}")


def _open_sockets() -> Iterator[str]:
    for fd in _FD_FOLDER.iterdir() if _FD_FOLDER.exists() else ():
        try:
            link = os.readlink(fd)  # noqa: PTH115 - Path.readlink would make a path of socket:[n]
        except OSError:  # the listing's own descriptor
            continue
        if link.startswith("socket:"):
            yield link


def _our_objects() -> Counter[str]:
    kinds = (type(each) for each in gc.get_objects())
    ours = (k for k in kinds if str(k.__module__).startswith("wsfleet."))
    return Counter(f"{kind.__module__}.{kind.__qualname__}" for kind in ours)


@contextmanager
def watched(violations: list[Violation], logged: Counter[str]) -> Iterator[None]:
    """
    Collect errors and warnings that no caller gets, for as long as the block lasts.

    Args:
        violations: takes unraisable exceptions, warnings, and entries of the log that report
            errors.
        logged: counts the log's entries by their event.
    """

    def unraisable(args: Any) -> None:
        violations.append(
            Violation("nothing_unraisable", f"{args.exc_value!r} {args.object!r}")
        )

    hook, sys.unraisablehook = sys.unraisablehook, unraisable
    loop_log = _LoopLog(violations)
    logging.getLogger("asyncio").addHandler(loop_log)
    try:
        with warnings.catch_warnings(record=True) as caught, capture_logs() as entries:
            warnings.simplefilter("always")
            yield
            gc.collect()
    finally:
        sys.unraisablehook = hook
        logging.getLogger("asyncio").removeHandler(loop_log)
    violations += [Violation("no_warning", str(each.message)) for each in caught]
    logged.update(entry["event"] for entry in entries)
    violations += _logged_errors(entries)


class _LoopLog(logging.Handler):
    """Takes what an event loop of asyncio warns of."""

    def __init__(self, violations: list[Violation]) -> None:
        super().__init__(logging.WARNING)
        self._violations = violations

    def emit(self, record: logging.LogRecord) -> None:
        self._violations.append(Violation("no_warning_of_the_loop", record.getMessage()))


def _logged_errors(entries: list[MutableMapping[str, Any]]) -> list[Violation]:
    errors = [entry for entry in entries if entry["log_level"] in _UNEXPECTED]
    return [Violation("no_error_logged", repr(entry)) for entry in errors]
