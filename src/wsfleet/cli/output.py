"""What the commands print: data on stdout, one a line, and complaints on stderr."""

from __future__ import annotations

import base64
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

if TYPE_CHECKING:
    from anyio import CancelScope


def one_line(data: Any) -> str:
    """
    Return text as it is where it is one line, bytes as base64, and all else as JSON.
    """
    if isinstance(data, str) and data.isprintable():
        return data
    if isinstance(data, bytes):
        return base64.b64encode(data).decode()
    return msgspec.json.encode(data).decode()


def show(line: str) -> None:
    """Print a line; end the command politely when nobody reads its output any more."""
    try:
        print(line, flush=True)
    except BrokenPipeError:  # whoever read our output has left
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        os.kill(os.getpid(), signal.SIGTERM)


def complain(line: str) -> None:
    """Print a line for people."""
    print(f"wsfleet: {line}", file=sys.stderr, flush=True)


async def stop_on_signal(scope: CancelScope) -> None:
    """Cancel the scope at Ctrl-C, or when the process is asked to end."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()
            return
