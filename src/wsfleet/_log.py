"""
The logger of the package: structlog's, made safe against the processors that users configure.

Rule 1: nothing that a processor raises reaches the code that logs; what was raised is printed
to stderr, once for each type of error.
Rule 2: `SystemExit` and `KeyboardInterrupt` are no failure: they go to `exits`, which lets the
task that owns the client raise them; where there is none, they go to the caller.
"""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_logger: Final = structlog.get_logger("wsfleet")
_told: Final[set[str]] = set()
_MOST_TOLD: Final = 16
"""Types of errors that are printed; a processor can make a new one for each event."""


class Log:
    """
    Logs events.

    Args:
        exits: called with a `SystemExit` or `KeyboardInterrupt` of a processor; without it,
            they are raised.
    """

    __slots__ = ("_exits",)

    def __init__(self, exits: Callable[[BaseException], None] | None = None) -> None:
        self._exits = exits

    def debug(self, event: str, /, **facts: Any) -> None:
        """Log an event of a single message."""
        write(self._exits, "debug", event, facts)

    def info(self, event: str, /, **facts: Any) -> None:
        """Log an event that is expected."""
        write(self._exits, "info", event, facts)

    def warning(self, event: str, /, **facts: Any) -> None:
        """Log an event that the library copes with."""
        write(self._exits, "warning", event, facts)

    def error(self, event: str, /, **facts: Any) -> None:
        """Log an event that is a defect of somebody."""
        write(self._exits, "error", event, facts)

    def write(self, level: str, event: str, /, **facts: Any) -> None:
        """Log an event at the level of that name."""
        write(self._exits, level, event, facts)


def write(
    exits: Callable[[BaseException], None] | None,
    level: str,
    event: str,
    facts: Mapping[str, Any],
) -> None:
    """
    Log one event, without a `Log`.

    Args:
        exits: as for `Log`.
        level: the name of its level.
        event: what happened.
        facts: the keys and values of its entry.
    """
    try:
        getattr(_logger, level)(event, **facts)
    except (SystemExit, KeyboardInterrupt) as error:
        if exits is None:
            raise
        exits(error)
    except BaseException as error:  # noqa: BLE001 - a user's processor, which awaits nothing; rule 1
        _print_once(error)


log: Final = Log()
"""For code that runs in a task of the user's: what leaves the program is raised there."""


def _print_once(error: BaseException) -> None:
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    if name in _told or len(_told) >= _MOST_TOLD:
        return
    _told.add(name)
    with suppress(Exception):  # stderr may be closed, or the error have a text that fails
        sys.stderr.write("wsfleet: a log processor failed; the event is lost:\n")
        traceback.print_exception(error, file=sys.stderr)
