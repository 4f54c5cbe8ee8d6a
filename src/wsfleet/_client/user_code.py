"""
Calls of the user's code, and what becomes of what it lets out.

Rule 1: what user code raises ends its client as a crash, or goes to the caller whose code it
is; an error of ours, made by what a server sent, never counts as one. So that both can pass the
same way, an error of the user's is marked where it leaves the user's code.
Rule 2: a cancellation that nobody asked for (user code awaited something that was cancelled) is
an error of the user's: left alone, it would end the tasks around it without a word. A
cancellation that was asked for is never held up. In a task that wsfleet started, only a cancel
scope can ask for one: user code that cancels its own task there is such an error, too.
Rule 3: `SystemExit`, `KeyboardInterrupt` and their like are raised by the one task that owns
the block; in any other task, and in a callback of the event loop, they would tear the loop
down.
"""

from __future__ import annotations

import asyncio
import math
import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import anyio

from wsfleet._wire.loops import in_task, on_asyncio
from wsfleet.errors import StrayCancellationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

_TURNS: Final = 8
"""Turns of the event loop: a cancellation passes through one task after the other."""

_MARK: Final = "_wsfleet_raised_by_user"


# what was raised


def is_exit(error: BaseException) -> bool:
    """Whether an error ends the program, such as `SystemExit`; it is no crash."""
    return not _is(error, Exception)


def _is(error: BaseException, kinds: type | tuple[type, ...]) -> bool:
    # isinstance() asks an error of the user's for its __class__, which can raise.
    return issubclass(type(error), kinds)


def raised_by_user(error: BaseException) -> bool:
    """Whether an error came out of user code, and was marked there."""
    try:
        return bool(BaseException.__getattribute__(error, _MARK))
    except AttributeError:
        return False


def crash_of(
    error: BaseException, code: object, *, is_sync: bool = False, in_own_task: bool = False
) -> BaseException:
    """
    Return what ends a client whose code let `error` out; a cancellation that was asked for is
    raised again.

    Args:
        error: what came out.
        code: what was called; its name is for the error's text.
        is_sync: whether it awaits nothing, so that no cancellation can have been asked for.
        in_own_task: whether it ran in a task that wsfleet started in a task group.
    """
    if not is_sync and _is_asked_for(error, in_own_task=in_own_task):
        raise error
    return _marked(error, code)


def _marked(error: BaseException, code: object) -> BaseException:
    found = _crash_in(error, code)
    BaseException.__setattr__(found, _MARK, True)  # the class of an error can refuse attributes
    return found


def _crash_in(error: BaseException, code: object) -> BaseException:
    if _is(error, Exception):
        return error
    leaves = list(_leaves(error))
    for leaf in leaves:
        if is_exit(leaf) and not _is_cancellation(leaf):
            return leaf
    if errors := [leaf for leaf in leaves if _is(leaf, Exception)]:
        return _without_cancellations(error, errors)
    stray = StrayCancellationError(name_of(code))
    stray.__cause__ = error
    return stray


def _without_cancellations(error: BaseException, errors: list[BaseException]) -> Exception:
    try:
        _, rest = cast("BaseExceptionGroup[BaseException]", error).split(_is_cancellation)
    except Exception:  # noqa: BLE001 - the class is a user's, and its methods may raise
        rest = None
    if isinstance(rest, Exception):
        return rest
    return ExceptionGroup("user code", cast("list[Exception]", errors))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if _is(error, BaseExceptionGroup):
        for inner in BaseExceptionGroup.exceptions.__get__(error):
            yield from _leaves(inner)
    else:
        yield error


def _is_cancellation(error: BaseException) -> bool:
    if _is(error, (asyncio.CancelledError, GeneratorExit)):
        return True
    trio = sys.modules.get("trio")
    return trio is not None and _is(error, trio.Cancelled)


def _is_asked_for(error: BaseException, *, in_own_task: bool = False) -> bool:
    """Whether an error is, or contains, the cancellation of the running task."""
    leaves = list(_leaves(error))
    if any(_is(leaf, GeneratorExit) for leaf in leaves) and not in_task():
        return True  # the event loop has ended, and the coroutine is closed
    if not any(map(_is_cancellation, leaves)):
        return False
    if not on_asyncio():
        is_trio = not any(_is(leaf, asyncio.CancelledError) for leaf in leaves)
        return is_trio and anyio.current_effective_deadline() == -math.inf
    task = asyncio.current_task()
    if task is None:  # a callback of the event loop
        return False
    is_cancelled = task.cancelling() > 0 and not in_own_task
    return is_cancelled or anyio.current_effective_deadline() == -math.inf


def shield_unless_cancelled(scope: anyio.CancelScope) -> None:
    """
    Shield a scope of the running task, unless a cancellation has reached it already.

    Called from another task it could hide a cancellation that is on its way into this one, and
    that would then seem to be one that nobody asked for.
    """
    if anyio.current_effective_deadline() > -math.inf:
        scope.shield = True


def name_of(code: object) -> str:
    """Return the name of a callable, for logs and errors."""
    try:
        return str(getattr(code, "__qualname__", None) or type(code).__qualname__)
    except Exception:  # noqa: BLE001 - a user's object; a name is not worth a crash
        return type(code).__qualname__


def method_named(thing: object, name: str) -> object:
    """
    Return what names a method of a user's object in an error; the object is not asked, because
    an attribute of it may be a property that raises.
    """
    return getattr(type(thing), name, thing)


def unless_cancelled(error: BaseException) -> BaseException:
    """Return what a block raised; a cancellation is raised again."""
    if any(map(_is_cancellation, _leaves(error))):
        raise error
    return error


async def turn_of_others() -> None:
    """Let tasks that were cancelled in the same moment as this one see that first."""
    if on_asyncio() and anyio.current_effective_deadline() > -math.inf:
        for _ in range(_TURNS):
            await asyncio.sleep(0)


def sole(error: BaseException) -> BaseException:
    """Return the one error that a group holds, or the one that ends the program."""
    leaves = list(_leaves(error))
    exits = [leaf for leaf in leaves if is_exit(leaf)]
    return (exits or leaves)[0] if exits or len(leaves) == 1 else error


def raise_stray(error: BaseException, code: object, *, is_sync: bool = False) -> None:
    """
    Do nothing, unless what user code let out is a cancellation that nobody asked for.

    Raises:
        StrayCancellationError: it is.
    """
    if _is(error, Exception) or (not is_sync and _is_asked_for(error)):
        return
    found = _marked(error, code)
    if not is_exit(found):
        raise found


# calls


class UserCode:
    """
    Marks what a block that runs user code raises.

    The block raises `StrayCancellationError` in place of a cancellation that nobody asked for.

    Args:
        code: what is called; its name is for the error's text.
        is_sync: whether it awaits nothing, so that no cancellation can have been asked for.
        in_own_task: see `crash_of`.
    """

    __slots__ = ("_code", "_in_own_task", "_is_sync")

    def __init__(
        self, code: object, *, is_sync: bool = False, in_own_task: bool = False
    ) -> None:
        self._code = code
        self._is_sync = is_sync
        self._in_own_task = in_own_task

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Mark an error, or raise another in its place."""
        if error is None:
            return
        if not self._is_sync and _is_asked_for(error, in_own_task=self._in_own_task):
            return
        marked = _marked(error, self._code)
        if marked is not error:
            raise marked


def call(code: Callable[..., T], *args: Any) -> T:
    """
    Call a sync function of the user's.

    Raises:
        StrayCancellationError: it let a cancellation out.
        Exception: what it raised, marked.
    """
    with UserCode(code, is_sync=True):
        return code(*args)
