"""The soak works: a second of it, so that it is not found broken when it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_second_of_reconnects() -> None:
    """Clients that are dropped for a second, over TLS, come back, and hold no more."""
    command = [sys.executable, "-m", "tests.soak", "--cycles", "--tls", "--seconds", "1"]
    ended = subprocess.run(  # noqa: S603 - our own interpreter
        command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "reconnects; objects of wsfleet" in ended.stdout
