"""What an error or an object shows, to look for secrets in it."""

from __future__ import annotations

import pickle
import traceback
from typing import TYPE_CHECKING

from wsfleet.errors import WsfleetError

if TYPE_CHECKING:
    from collections.abc import Iterator


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it was raised from, or while."""
    seen: set[int] = set()
    ahead: list[BaseException | None] = [error]
    while ahead:
        each = ahead.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        ahead += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            ahead += each.exceptions


def shown_by(error: BaseException, *ours: str) -> str:
    """
    Return what an error shows: texts, arguments, attributes, its pickle, and the local
    variables of all frames.

    Args:
        error: what was raised.
        ours: files whose frames do not count: the tests' own.
    """
    shown = []
    for each in chain_of(error):
        shown += [str(each), repr(each), repr(each.args), repr(vars(each))]
        rendered = traceback.TracebackException.from_exception(each, capture_locals=True)
        shown += [
            f"{frame.filename}:{frame.lineno} {frame.locals}"
            for frame in rendered.stack
            if frame.filename not in ours
        ]
        inner = [value for value in vars(each).values() if hasattr(value, "__dict__")]
        shown += [repr(vars(value)) for value in inner]
        if isinstance(each, WsfleetError):
            shown.append(pickle.dumps(each).decode("latin-1"))
    return "\n".join(shown)
