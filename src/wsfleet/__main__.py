"""`python -m wsfleet` is the command `wsfleet`, wherever scripts are not on the PATH."""

from __future__ import annotations

from wsfleet.cli import main

if __name__ == "__main__":
    main()
