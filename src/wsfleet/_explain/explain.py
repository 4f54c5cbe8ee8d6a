"""`explain`: from any exception to what it means."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from wsfleet.errors import MaxAttemptsExceededError, RestartLimitError, WsfleetError

from .advice import Explanation
from .foreign import FOREIGN, FOREIGN_KINDS
from .ours import OURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .advice import Advice, Row

_MOST: Final = 3
"""How many of several errors are told; more would be no explanation."""


def explain(error: BaseException) -> Explanation:
    """
    Say what an error means, and what to do.

    Knows every error of `wsfleet.errors` and those of the operating system, TLS and HTTP
    beneath; a subclass is explained as its base, a group as what is in it, and an error that is
    not known as its `__cause__`. It repeats no text that is not wsfleet's own, because such
    texts quote URLs and headers.

    Args:
        error: what was raised.

    Returns:
        Message, suggestion, and whether doing the same again later can succeed.
    """
    if isinstance(error, BaseExceptionGroup):
        return _explain_group(error)
    if isinstance(error, WsfleetError):
        return _explain_ours(error)
    if (advice := _foreign_advice(error)) is not None:
        return _explain_foreign(error, advice)
    return _explain_unknown(error)


def _explain_group(group: BaseExceptionGroup[BaseException]) -> Explanation:
    told = [explain(error) for error in _leaves(group)]
    messages = _distinct(each.message for each in told)
    more = len(messages) - _MOST
    return Explanation(
        "; ".join(messages[:_MOST]) + (f"; and {more} more" if more > 0 else ""),
        " ".join(_distinct(each.suggestion for each in told)[:_MOST]),
        all(each.recoverable for each in told),
    )


def _explain_ours(error: WsfleetError) -> Explanation:
    row = _row_of(type(error))
    advice = row.advice_for(error)
    # While connecting, libraries raise one error in place of another and break the chain.
    beneath = _foreign_advice(error.__cause__, contexts=True) if row.ask_cause else None
    suggestions = [(beneath or advice).suggestion]
    suggestions += (explain(inner).suggestion for inner in _inside(error))
    return Explanation(
        " ".join(str(error).split()),
        " ".join(_distinct(suggestions)[: 1 + _MOST]),
        error.recoverable if advice.recoverable is None else advice.recoverable,
    )


def _explain_foreign(error: BaseException, advice: Advice) -> Explanation:
    return Explanation(
        advice.message or _name(error), advice.suggestion, bool(advice.recoverable)
    )


def _explain_unknown(error: BaseException) -> Explanation:
    known: tuple[type[BaseException], ...] = (WsfleetError, *FOREIGN_KINDS)
    cause = next((each for each in _causes(error) if isinstance(each, known)), None)
    if cause is not None:
        beneath = explain(cause)
        message = f"{_name(error)}, because {beneath.message}"
        return Explanation(message, beneath.suggestion, beneath.recoverable)
    return Explanation(
        f"{_name(error)}, which wsfleet does not know",
        "Read its text and its traceback: it comes from your code, a handler for example, or "
        "is a bug.",
        recoverable=False,
    )


def _row_of(cls: type[WsfleetError]) -> Row:
    return next(OURS[base] for base in cls.__mro__ if base in OURS)


def _inside(error: WsfleetError) -> list[BaseException]:
    """Return the errors that this one sums up."""
    if isinstance(error, MaxAttemptsExceededError):
        return [inner for _, inner in error.attempts]
    if isinstance(error, RestartLimitError) and error.__cause__ is not None:
        return [error.__cause__]
    return []


def _foreign_advice(error: BaseException | None, *, contexts: bool = False) -> Advice | None:
    if not isinstance(error, FOREIGN_KINDS):
        return None
    causes = list(_causes(error, contexts=contexts))
    return next(
        row.advice_for(cause)
        for kinds, row in FOREIGN
        for cause in causes
        if isinstance(cause, kinds)
    )


def _causes(error: BaseException, *, contexts: bool = False) -> Iterator[BaseException]:
    """Yield the error, what it was raised from, and what is in groups among these."""
    seen: set[int] = set()
    ahead = [error]
    while ahead:
        each = ahead.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            ahead += reversed(each.exceptions)
        cause = each.__cause__ or (each.__context__ if contexts else None)
        if cause is not None:
            ahead.append(cause)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _leaves(each)
        else:
            yield each


def _name(error: BaseException) -> str:
    """Name an error without its text, which may have a secret in it."""
    if isinstance(error, OSError) and isinstance(error.errno, int):
        return f"{type(error).__name__} ({os.strerror(error.errno)})"
    return type(error).__name__


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
