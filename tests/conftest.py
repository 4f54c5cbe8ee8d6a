from __future__ import annotations

import gc
import importlib.util
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from structlog.testing import capture_logs

if importlib.util.find_spec("wsfleet") is None:  # a checkout in which nothing is installed
    sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

THREAD_NAME = "wsfleet-testing"
FD_FOLDER = Path("/proc/self/fd")
needs_uvloop = pytest.mark.skipif(
    importlib.util.find_spec("uvloop") is None, reason="uvloop has no build for this platform"
)


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop", marks=needs_uvloop),
        pytest.param(("trio", {}), id="trio"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run a test with real sockets on each event loop."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


@pytest.fixture
def log_entries() -> Iterator[list[MutableMapping[str, Any]]]:
    """Collect what is logged through structlog, in order."""
    with capture_logs() as entries:
        yield entries


def open_sockets() -> set[str]:
    """Return the sockets of this process, where the system can list them."""
    links = set()
    for fd in FD_FOLDER.iterdir() if FD_FOLDER.exists() else ():
        try:
            links.add(os.readlink(fd))  # noqa: PTH115  Path.readlink would make a path of socket:[n]
        except OSError:  # the listing's own descriptor
            continue
    return {link for link in links if link.startswith("socket:")}


def belongs_to_us(thread: threading.Thread) -> bool:
    """Tell threads that must end from the idle workers that event loops keep."""
    return thread.name == THREAD_NAME or not thread.daemon


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves a socket open or a thread running."""
    sockets, threads = open_sockets(), set(threading.enumerate())
    yield
    if open_sockets() - sockets:
        gc.collect()  # a reference cycle is no leak, a socket that nobody frees is
    assert not open_sockets() - sockets, "the test left sockets open"
    left = {thread for thread in set(threading.enumerate()) - threads if belongs_to_us(thread)}
    for thread in left:
        thread.join(5)  # one that was told to end may still be at it
    assert not any(thread.is_alive() for thread in left), "the test left threads running"
