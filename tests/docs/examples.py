"""
Runs the Python examples of README.md and docs, as a plugin of pytest (see the session `docs`).

Rule 1: an example is a whole program, or goes on from those above it on its page.
Rule 2: a WebSocket URL whose host is reserved for documentation (RFC 2606: example.com) leads
to a server that runs for the page, answers JSON-RPC requests and echoes all else.
Rule 3: an example writes its files into a folder that goes with its page.
Rule 4: `<!--- skip: next -->` above an example says that it needs what no test has.
"""

from __future__ import annotations

import ast
import json
import re
from contextlib import ExitStack, chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from anyio.from_thread import start_blocking_portal
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from wsfleet.testing import MockServer, json_rpc

if TYPE_CHECKING:
    from sybil import Example

DOCUMENTED_URL = re.compile(r"wss?://[\w.-]*\bexample(?:\.com|\.org|\.net)?(?::\d+)?(?![\w.-])")


def answer(message: str | bytes) -> Any:
    """Answer a JSON-RPC request, and echo what is none."""
    try:
        is_request = isinstance(json.loads(message), dict) and "method" in json.loads(message)
    except ValueError:
        is_request = False
    return json_rpc(message) if is_request else message


def start_server(namespace: dict[str, Any]) -> None:
    """Start the page's server."""
    stack = namespace["_stack"] = ExitStack()
    stack.enter_context(chdir(stack.enter_context(TemporaryDirectory())))
    portal = stack.enter_context(start_blocking_portal())
    server = MockServer(answer)
    namespace["_url"] = stack.enter_context(portal.wrap_async_context_manager(server)).url


def stop_server(namespace: dict[str, Any]) -> None:
    """Stop the page's server."""
    namespace["_stack"].close()


def run(example: Example) -> None:
    """Run one example as the program that a reader makes of it."""
    source = DOCUMENTED_URL.sub(example.namespace["_url"], example.parsed)
    tree = ast.parse(source, example.path)
    ast.increment_lineno(tree, example.line + example.parsed.line_offset)
    example.namespace["__name__"] = "__main__"
    exec(compile(tree, example.path, "exec", dont_inherit=True), example.namespace)  # noqa: S102


pytest_collect_file = Sybil(
    parsers=[CodeBlockParser(language="python", evaluator=run), SkipParser()],
    path=str(Path(__file__).parents[2]),
    patterns=["README.md", "docs/*.md", "docs/**/*.md"],
    setup=start_server,
    teardown=stop_server,
).pytest()
