"""
Plays the fault matrix and checks its page: `nox -s faults -- --loop trio --only port-closed`.

Fails when a fault is met in another way than its page says, or the page says something else
than the data. `--write` writes the page's tables.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from typing import TYPE_CHECKING, Any, Final

import anyio

from tests.faults import page
from tests.faults.matrix import ATTEMPTS, LIVES
from tests.faults.together import chosen, play_all, problems_of

if TYPE_CHECKING:
    from tests.faults.run import Seen

AT_ONCE: Final = 4
LOOPS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "asyncio": ("asyncio", {"use_uvloop": False}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}
if importlib.util.find_spec("uvloop") is None:  # it has no build for this platform
    del LOOPS["uvloop"]


def play_on(loop: str, names: list[str]) -> bool:
    """Play the faults on one event loop, print what was seen, and tell whether all is well."""
    backend, options = LOOPS[loop]
    faults = chosen((*ATTEMPTS, *LIVES), names)

    async def play() -> dict[str, Seen]:
        return await play_all(faults, at_once=AT_ONCE)

    seen = anyio.run(play, backend=backend, backend_options=options)
    for name, each in sorted(seen.items()):
        print(line(loop, name, each))
    return not problems_of(seen)


def line(loop: str, name: str, seen: Seen) -> str:
    """Return what was seen of a fault, in a line."""
    back = "     -" if seen.recovered is None else f"{seen.recovered:6.2f}"
    got = type(seen.got).__name__
    times = f"{loop:8}{name:36}{seen.detected:6.2f} s {back} s  {got}"
    return "\n    ".join([times, *seen.problems, *seen.late])


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=LOOPS, action="append", help="may be repeated")
    parser.add_argument("--only", action="append", default=[], help="a fault; may be repeated")
    parser.add_argument("--write", action="store_true", help="write the page's tables")
    options = parser.parse_args()
    if options.write:
        page.write()
    well = [play_on(loop, options.only) for loop in options.loop or LOOPS]
    if not page.is_right():
        print(f"{page.PAGE} differs from the data: run `nox -s faults -- --write`")
    sys.exit(0 if all(well) and page.is_right() else 1)


if __name__ == "__main__":
    main()
