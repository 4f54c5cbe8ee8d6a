"""`python -m tests.fuzz`, which is what `nox -s fuzz` runs."""

from __future__ import annotations

import sys

from .runner import main

sys.exit(main(sys.argv[1:]))
