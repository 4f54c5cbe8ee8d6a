"""The servers of a run, as the process of the clients sees them."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from .log import ServerLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import trustme

_ROOT: Final = Path(__file__).parents[2]
_PATIENCE: Final = 10.0
"""Seconds that the process has to end."""


@dataclass(frozen=True, slots=True)
class Servers:
    """
    Servers in a process of their own, so that the loop of the clients does not serve itself.

    Attributes:
        urls: one for each endpoint.
    """

    urls: tuple[str, ...]
    _commands: IO[bytes]
    _answers: IO[bytes]

    def start_faults(self) -> None:
        """Begin; returns at once."""
        self._say(b"start")

    def calm(self) -> None:
        """End all faults; returns at once."""
        self._say(b"calm")

    def log(self) -> ServerLog:
        """Return what they saw; blocks, so that no event loop may run meanwhile."""
        self._say(b"log")
        return ServerLog.of_json(self._answers.readline())

    def _say(self, command: bytes) -> None:
        self._commands.write(command + b"\n")
        self._commands.flush()


@contextmanager
def running_servers(
    seed: int, tls: Sequence[bool], pace: float, authority: trustme.CA
) -> Iterator[Servers]:
    """
    Run servers until the block's end.

    Args:
        seed: of their faults.
        tls: for each endpoint, whether it is encrypted.
        pace: seconds between two faults of an endpoint, at the most.
        authority: signs the certificate.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "certificate.pem"
        certificate = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
        certificate.write_to_path(file)
        plan = {"seed": seed, "tls": list(tls), "pace": pace, "certificate": str(file)}
        command = [sys.executable, "-m", "tests.chaos.server"]
        with subprocess.Popen(  # noqa: S603 - a module of this project
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            try:
                yield _introduce(process, plan)
            finally:
                assert process.stdin is not None
                process.stdin.close()
                _wait(process)


def _introduce(process: subprocess.Popen[bytes], plan: dict[str, object]) -> Servers:
    commands, answers = process.stdin, process.stdout
    assert commands is not None
    assert answers is not None
    commands.write(json.dumps(plan).encode() + b"\n")
    commands.flush()
    ports = json.loads(answers.readline())
    tls = plan["tls"]
    assert isinstance(tls, list)
    schemes = ["wss" if encrypted else "ws" for encrypted in tls]
    urls = (f"{s}://127.0.0.1:{port}" for s, port in zip(schemes, ports, strict=True))
    return Servers(tuple(urls), commands, answers)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """Return a context for clients that trust the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
