"""
The event loop that a client or a supervisor belongs to, and the check that it is used there.

A call from elsewhere would corrupt what is being sent, or wait for ever without a word.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import _get_running_loop
from threading import get_ident
from typing import TYPE_CHECKING

from wsfleet._wire.loops import on_asyncio

if TYPE_CHECKING:
    from collections.abc import Callable


class LoopBinding:
    """
    Knows where something runs, while it runs.

    Args:
        name: what is bound, for errors.
    """

    __slots__ = ("_expected", "_name", "_where")

    def __init__(self, name: str) -> None:
        self._name = name
        self._where: Callable[[], object] | None = None
        self._expected: object = None

    def bind(self) -> None:
        """Bind it to the running event loop."""
        # On asyncio the running loop is known for each thread, so this tells threads as well.
        # Trio has ended whatever ran before its thread can run another loop.
        self._where = _get_running_loop if on_asyncio() else get_ident
        self._expected = self._where()

    def release(self) -> None:
        """It runs no more, and may be bound to another loop."""
        self._where = self._expected = None

    def check(self) -> None:
        """
        Do nothing where it may be used.

        Raises:
            RuntimeError: it runs on another event loop, in this thread or another.
        """
        where = self._where
        if where is not None and where() != self._expected:
            raise RuntimeError(self._problem())

    @property
    def is_stale(self) -> bool:
        """Whether the event loop was closed with what it ran."""
        loop = self._expected
        return isinstance(loop, asyncio.AbstractEventLoop) and loop.is_closed()

    def _problem(self) -> str:
        if self.is_stale:
            return (
                f"{self._name} cannot be used any more: its event loop was closed while it "
                "ran; make a new one. Nothing was done"
            )
        return (
            f"{self._name} was used outside of the event loop that runs it, in the thread "
            f"{threading.current_thread().name!r}; nothing was done. From another thread, call "
            "it with anyio.from_thread.run() or run_sync(); for another event loop, make "
            "another one"
        )
