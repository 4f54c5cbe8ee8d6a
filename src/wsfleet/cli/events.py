"""How the command shows the library's events: on stderr, for people or for programs."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger


class LogFormat(StrEnum):
    """Of the events on stderr."""

    CONSOLE = "console"
    JSON = "json"


counts: Final[Counter[str]] = Counter()
"""How often each event happened in this process."""


def _count(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    counts[event["event"]] += 1
    return event


def show_events(log_format: LogFormat) -> None:
    """
    Send the events to stderr from here on; the command may configure structlog, the library
    never does.
    """
    structlog.configure(
        processors=[
            _count,
            structlog.processors.add_log_level,
            *_rendering(log_format),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _rendering(log_format: LogFormat) -> list[Processor]:
    if log_format is LogFormat.JSON:
        return [
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=False),
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
        ),
    ]
