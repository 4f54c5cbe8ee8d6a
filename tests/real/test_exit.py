from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import needs_uvloop
from wsfleet._client.daemon_threads import call_in_thread

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import sys, time, anyio
from wsfleet import connect
from wsfleet._client.journal import Journal
from wsfleet.testing import MockServer, json_rpc

def hang(self, dropped):
    time.sleep(3600)

Journal._write = hang

async def main():
    async with MockServer(json_rpc) as server:
        async with connect(server.url, record_to=sys.argv[2], close_timeout=0.1) as client:
            print(await client.request("ping", [1]))

options = {"use_uvloop": True} if sys.argv[1] == "uvloop" else {}
anyio.run(
    main, backend="trio" if sys.argv[1] == "trio" else "asyncio", backend_options=options
)
print("end")
"""


@pytest.mark.parametrize(
    "loop", ["asyncio", pytest.param("uvloop", marks=needs_uvloop), "trio"]
)
def test_a_disk_that_hangs_does_not_keep_the_process_alive(loop: str, tmp_path: Path) -> None:
    """A process whose recording cannot be written ends as soon as its client is closed."""
    command = (sys.executable, "-c", PROGRAM, loop, str(tmp_path / "session.jsonl"))
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)  # noqa: S603

    lines = ended.stdout.splitlines()
    assert "[1]" in lines
    assert lines[-1] == "end"
    assert any("recording.failed" in line for line in lines)


async def test_calls_in_threads_return_and_raise() -> None:
    """A call in a thread is awaited, its error is raised, and many may run one by one."""
    done: list[int] = []
    for number in range(50):
        await call_in_thread(done.append, number)
    with pytest.raises(ZeroDivisionError):
        await call_in_thread(lambda: 1 / 0)

    assert done == list(range(50))
