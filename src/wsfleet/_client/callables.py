"""Tells async functions of users from sync ones."""

from __future__ import annotations

import inspect
from types import CoroutineType


def is_async_callable(function: object) -> bool:
    """Whether calling it gives something to await."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - the method itself is looked at
    )


def refuse_coroutine(result: object) -> None:
    """
    Refuse a coroutine that a plain function returned: nobody would await it.

    Raises:
        TypeError: it is one.
    """
    if type(result) is CoroutineType:
        result.close()
        msg = (
            f"{result.__qualname__} returned a coroutine from a plain function: use `async def`"
        )
        raise TypeError(msg)
