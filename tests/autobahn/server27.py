"""
The suite's fuzzing server, run by a Python 2.7: `server27.py MESSAGES [PATTERN...]`.

Rule 1: it listens on 127.0.0.1 only, on a free port; the first line that it writes names the
port and the cases, each further one what came of a case.
Rule 2: nothing is held for a report: a case that went well is two words.
"""

import json
import sys

from autobahntestsuite import choosereactor  # noqa: F401 - before the reactor is imported
from autobahntestsuite.case import Cases
from autobahntestsuite.fuzzing import FuzzingServerFactory
from twisted.internet import reactor

out, sys.stdout = sys.stdout, sys.stderr  # the suite prints what it does
GOOD = ("OK", "NON-STRICT", "INFORMATIONAL")


def write(line):
    # type: (object) -> None
    """Tell the parent."""
    out.write(json.dumps(line) + "\n")
    out.flush()


def write_case(case):
    # type: (dict[str, object]) -> None
    """Tell what came of a case, with the bytes that were exchanged where it went wrong."""
    well = case["behavior"] in GOOD and case["behaviorClose"] in GOOD
    told = ("id", "behavior", "behaviorClose") if well else tuple(case)
    write({key: case[key] for key in told})


def main(messages, patterns):
    # type: (int, list[str]) -> None
    """Serve until SIGTERM; the cases of compression exchange that many messages each."""
    for case in Cases:
        if case.__name__.startswith(("Case12_", "Case13_")):
            case.COUNT = messages
    factory = FuzzingServerFactory({"url": "ws://127.0.0.1", "cases": patterns or ["*"]})
    factory.logCase = write_case
    port = reactor.listenTCP(0, factory, interface="127.0.0.1").getHost().port
    factory.externalPort = port  # what the Host header must name
    write({"port": port, "cases": factory.specCases})
    reactor.run()


main(int(sys.argv[1]), sys.argv[2:])
