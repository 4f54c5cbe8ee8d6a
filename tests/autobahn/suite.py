"""
The suite's fuzzing server as this process sees it: cases to connect to, and their results.

Rule: the server lives no longer than the block that started it.
"""

from __future__ import annotations

import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import msgspec
from anyio.streams.buffered import BufferedByteReceiveStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

SCRIPT: Final = Path(__file__).with_name("server27.py")
START: Final = 60.0
"""Seconds until the server listens."""
GOODBYE: Final = 30.0
"""Seconds until the server has seen the end of a connection that we have closed."""
_LONGEST_LINE: Final = 1 << 28


class Listening(msgspec.Struct, frozen=True):
    """What the server says first."""

    port: int
    cases: list[str]


class Result(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """
    What the suite thinks of a case.

    Attributes:
        id: such as 6.4.1.
        behavior: OK, NON-STRICT, INFORMATIONAL, or something bad.
        behavior_close: the same of how the connection ended.
        result: why it is bad.
        result_close: why the end is bad.
        wirelog: what was exchanged, where it is bad.
    """

    id: str
    behavior: str
    behavior_close: str
    result: str | None = None
    result_close: str | None = None
    wirelog: list[Any] = []


class Suite:
    """
    A fuzzing server that listens.

    Attributes:
        cases: their names; the server counts them from 1.
    """

    def __init__(self, lines: BufferedByteReceiveStream, listening: Listening) -> None:
        self.cases: Sequence[str] = listening.cases
        self._lines = lines
        self._port = listening.port

    def url(self, case: str) -> str:
        """Return the address at which the server runs a case."""
        number = self.cases.index(case) + 1
        return f"ws://127.0.0.1:{self._port}/runCase?case={number}&agent=wsfleet"

    async def result(self, case: str) -> Result:
        """Return what came of a case whose connection we have closed."""
        with anyio.move_on_after(GOODBYE):
            while True:
                result = msgspec.json.decode(await _read_line(self._lines), type=Result)
                if result.id == case:
                    return result
        return Result(case, "MISSING", "MISSING", "the server did not see the connection end")


async def _read_line(lines: BufferedByteReceiveStream) -> bytes:
    return await lines.receive_until(b"\n", _LONGEST_LINE)


@asynccontextmanager
async def start_suite(
    python: str, folder: Path, *, messages: int, patterns: Sequence[str]
) -> AsyncGenerator[Suite]:
    """
    Run a fuzzing server for the length of a block.

    Args:
        python: a Python 2.7 that has the suite.
        folder: gets what the server prints.
        messages: that each case of compression exchanges; the suite's own number is 1000.
        patterns: of case names, such as `6.*`; none means all.

    Raises:
        anyio.IncompleteRead: the server did not start; `server.log` in the folder says why.
    """
    command = [python, str(SCRIPT), str(messages), *patterns]
    with (folder / "server.log").open("wb") as log:
        server = await anyio.open_process(command, stdin=subprocess.DEVNULL, stderr=log)
    async with server:
        try:
            assert server.stdout is not None
            lines = BufferedByteReceiveStream(server.stdout)
            with anyio.fail_after(START):
                first = await _read_line(lines)
            yield Suite(lines, msgspec.json.decode(first, type=Listening))
        finally:
            if server.returncode is None:
                server.terminate()
