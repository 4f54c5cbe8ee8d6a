"""
Which twins of the codec's hot parts run: those in C, where they were compiled, or those in
plain Python.

`WSFLEET_NO_EXTENSIONS=1` in the environment asks for Python.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from . import masking, offering, straight

WANTED: Final = not os.environ.get("WSFLEET_NO_EXTENSIONS")
"""Whether what is faster than plain Python may be used."""

try:
    from . import _speedups
except ImportError:  # there was no compiler for it
    _built = False
else:
    _built = True

COMPILED: Final = WANTED and _built
"""Whether the codec runs in C."""

if TYPE_CHECKING or not COMPILED:
    Offering = offering.Offering
    StraightDecoder = straight.StraightDecoder
    encode = masking.encode
    masked_piece = masking.masked_piece
else:
    Offering = _speedups.Offering
    StraightDecoder = _speedups.StraightDecoder
    encode = _speedups.encode
    masked_piece = _speedups.masked_piece
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=_speedups.forget_keys)
