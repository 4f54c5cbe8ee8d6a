"""
The faults of a run, computed from its seed alone.

Rule: what is done, when and for how long depends on the seed; which connections exist at that
moment depends on the run.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS: Final = (
    "reset",
    "fin",
    "freeze",
    "deaf",
    "drip",
    "refuse",
    "restart",
    "busy",
    "silent_upgrade",
    "cut_upgrade",
    "mute",
    "garbage",
    "close",
    "close_silent",
    "cut",
)
"""
Every kind of fault, done to some connections of an endpoint or to all that it does for a while.

reset: the connection is reset. fin: its writing side is closed. freeze: nothing is read or
written any more, and later that heals or is reset. deaf: nothing is read, events still come.
drip: answers come in small pieces. refuse: nothing listens. restart: the same port, other
connections. busy: 503 for an upgrade. silent_upgrade: no answer to it. cut_upgrade: half of an
answer to it. mute: no answers to requests. garbage: random bytes. close: a close frame with one
of many codes. close_silent: a close frame, then nothing, not even the end of the stream. cut:
the end of the stream within a frame.
"""

CODES: Final = (None, 1000, 1001, 1002, 1008, 1011, 1012, 1013, 3000, 4999)
"""Close codes; None sends a close frame without one."""


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One fault of an endpoint.

    Attributes:
        kind: one of `KINDS`.
        pause: seconds before it, from the end of the one before.
        seconds: how long it lasts, where it lasts.
        share: of the endpoint's connections that it meets, where it meets single ones.
        heals: whether what is frozen goes on later; else it is reset.
        code: a close code, or None.
        seed: for everything else that is drawn.
    """

    kind: str
    pause: float
    seconds: float
    share: float
    heals: bool
    code: int | None
    seed: int


def faults(seed: int, endpoint: int, pace: float) -> Iterator[Fault]:
    """
    Return the faults of one endpoint, without end.

    Args:
        seed: of the run.
        endpoint: its number; each has faults of its own.
        pace: seconds between two faults, at the most.
    """
    rng = random.Random(f"{seed}/{endpoint}")
    while True:
        for kind in rng.sample(KINDS, len(KINDS)):  # each as often as any other
            yield Fault(
                kind=kind,
                pause=rng.uniform(pace / 10, pace),
                seconds=rng.uniform(0.05, 0.4) if kind != "freeze" else rng.uniform(0.2, 1.5),
                share=rng.choice((0.3, 0.6, 1.0)),
                heals=rng.random() < 0.5,
                code=rng.choice(CODES),
                seed=rng.randrange(2**32),
            )
