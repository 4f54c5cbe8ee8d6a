"""
Feeds the codec with made-up connections until the time is over: `nox -s fuzz`.

Everything follows from the seed, which is printed first. The first input that does what none
may ends the run, and is written to a file; `--replay FILE` checks that one again.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from .codec import DecoderCase
from .handshake import HandshakeCase
from .opening import OpeningCase
from .urls import UrlCase

Case = DecoderCase | HandshakeCase | OpeningCase | UrlCase
KINDS: Final = (DecoderCase, DecoderCase, DecoderCase, HandshakeCase, OpeningCase, UrlCase)


def make_case(seed: int, number: int) -> Case:
    """Return the case of that number; it depends on nothing else."""
    rng = random.Random(f"{seed}:{number}")
    return rng.choice(KINDS).make(rng)


def passes(case: Case, outcomes: Counter[str]) -> bool:
    """Check a case and count its outcome; print why it failed."""
    try:
        outcomes[f"{type(case).__name__} {case.check()}"] += 1
    except Exception:  # noqa: BLE001 - any is a finding
        traceback.print_exc(file=sys.stdout)
        return False
    return True


def fuzz(seed: int, seconds: float, folder: Path) -> Path | None:
    """Try until the time is over; return the file of an input that failed."""
    outcomes: Counter[str] = Counter()
    end = time.monotonic() + seconds
    for number in count():
        if time.monotonic() >= end:
            break
        case = make_case(seed, number)
        if not passes(case, outcomes):
            file = folder / f"fuzz-{seed}-{number}.json"
            file.write_bytes(msgspec.json.encode(case))
            return file
    for outcome, times in sorted(outcomes.items()):
        print(f"{times:>9} {outcome}")
    return None


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="nox -s fuzz --", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--seed", type=int, help="of an earlier run, to repeat it")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="check this input only")
    parser.add_argument("--folder", type=Path, default=Path(), help="for an input that failed")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Do what the command line says; return 1 where an input failed."""
    options = parse(arguments)
    if options.replay is not None:
        case = msgspec.json.decode(options.replay.read_bytes(), type=Case)
        return 0 if passes(case, Counter()) else 1
    seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    failed = fuzz(seed, options.seconds, options.folder)
    if failed is None:
        return 0
    print(f"failed: `nox -s fuzz -- --replay {failed}` checks this input again")
    return 1
