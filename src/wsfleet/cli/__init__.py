"""The `wsfleet` command (extra `cli`)."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; without its packages, say which extra has them, and exit with 2."""
    try:
        from .app import app  # noqa: PLC0415 - its packages are an extra
    except ModuleNotFoundError as exc:
        sys.exit(f'wsfleet: {exc.name} is missing: pip install "wsfleet[cli]"')
    app(prog_name="wsfleet")
