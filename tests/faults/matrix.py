"""All faults, by subject, in the order of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .attempt_http import STATUSES, UPGRADES
from .attempt_network import TCP, TLS
from .attempt_redirects import PROXIES, REDIRECTS
from .attempt_sessions import SESSIONS
from .life_answers import ANSWERS
from .life_ends import CLOSES, ENDS
from .life_frames import FLOODS, FRAMES
from .life_functions import FUNCTIONS
from .life_inboxes import INBOXES
from .life_sessions import SESSION

if TYPE_CHECKING:
    from .fault import Attempt, Life

ATTEMPT_SUBJECTS: Final[dict[str, tuple[Attempt, ...]]] = {
    "Names and TCP": TCP,
    "TLS": TLS,
    "The answer to the upgrade": STATUSES,
    "The terms of the upgrade": UPGRADES,
    "Redirects": REDIRECTS,
    "Proxies": PROXIES,
    "Logins and the set-up of a session": SESSIONS,
}
LIFE_SUBJECTS: Final[dict[str, tuple[Life, ...]]] = {
    "The connection ends, or is silent": ENDS,
    "Close frames": CLOSES,
    "Frames that break RFC 6455": FRAMES,
    "Too much, and too slow": FLOODS,
    "Answers and other messages": ANSWERS,
    "Heartbeats, subscriptions and logins": SESSION,
    "The user's own code": FUNCTIONS,
    "Events that are not taken in time": INBOXES,
}

ATTEMPTS: Final = tuple(fault for group in ATTEMPT_SUBJECTS.values() for fault in group)
LIVES: Final = tuple(fault for group in LIFE_SUBJECTS.values() for fault in group)
