"""The commands and their options; what they do stands beside them."""

from __future__ import annotations

import importlib.metadata
import math
from functools import partial
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import anyio
import msgspec
import typer

from wsfleet import describe, explain, recording
from wsfleet._wire.speedups import COMPILED
from wsfleet._wire.transports import FAST
from wsfleet.errors import ConfigError, WsfleetError

from .demo import run_demo
from .description import written
from .events import LogFormat, show_events
from .fleet import Fleet, run_fleet
from .output import complain, show
from .replay import Shown, print_recording, serve_recording

app: typer.Typer = typer.Typer(
    help="Keeps a fleet of WebSocket connections alive and sends through whichever is fit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

BAD_USAGE = 2


def _show_version(value: bool) -> None:
    if value:
        codec = "compiled" if COMPILED else "plain Python"
        tls = "aiofastnet" if FAST else "the event loop's"
        version = importlib.metadata.version("wsfleet")
        typer.echo(f"wsfleet {version} (codec: {codec}; TLS: {tls})")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version, and what is there for speed, and exit.",
        ),
    ] = False,
) -> None:
    """Keeps a fleet of WebSocket connections alive and sends through whichever is fit."""


@app.command()
def demo() -> None:
    """
    See a fleet lose a server and keep answering.

    Starts three servers of its own, sends balanced requests, kills one server, brings it back.
    """
    show_events(LogFormat.CONSOLE)
    raise typer.Exit(anyio.run(run_demo))


@app.command()
def connect(  # noqa: PLR0917 - typer makes options of them
    urls: Annotated[
        list[str], typer.Argument(metavar="URL...", help="Endpoints, ws:// or wss://.")
    ],
    clients: Annotated[int, typer.Option(min=1, help="Clients for each URL.")] = 1,
    log_format: Annotated[LogFormat, typer.Option(help="Of the events on stderr.")] = (
        LogFormat.CONSOLE
    ),
    listen: Annotated[
        bool, typer.Option("--listen", help="Stay until Ctrl-C, and print what arrives.")
    ] = False,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME:VALUE", help="Sent with each upgrade.")
    ] = None,
    subprotocol: Annotated[
        list[str] | None, typer.Option(help="Offered to the server.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds for one attempt to connect.")] = 5.0,
    request_timeout: Annotated[float, typer.Option(help="Seconds for a response.")] = 30.0,
    wait: Annotated[
        float, typer.Option(help="Seconds for the first connection before giving up.")
    ] = 10.0,
    max_attempts: Annotated[int, typer.Option(min=1, help="Clients to try a message on.")] = 3,
    idempotent: Annotated[
        bool, typer.Option("--idempotent", help="Repeat what may have been sent.")
    ] = False,
) -> None:
    """
    Keep a fleet connected to real endpoints.

    Each line of stdin is sent through the fittest client; one that is JSON with an "id" is a
    request, and its response is printed. What arrives otherwise goes to stdout, one a line, and
    events go to stderr. Exit code: 0 all went well, 1 no endpoint was reachable, 2 bad usage,
    3 a message failed or its outcome is unknown.
    """
    show_events(log_format)
    try:
        _check_seconds("--wait", wait)
        fleet = Fleet.of(
            urls,
            clients,
            headers=[_split_header(line) for line in header or ()],
            subprotocols=subprotocol or (),
            timeout=timeout,
            request_timeout=request_timeout,
        )
    except ConfigError as exc:
        complain(str(explain(exc)))
        raise typer.Exit(BAD_USAGE) from None
    raise typer.Exit(
        anyio.run(
            lambda: run_fleet(
                fleet,
                listen=listen,
                wait=wait,
                max_attempts=max_attempts,
                idempotent=idempotent,
            )
        )
    )


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What a client recorded.")],
    direction: Annotated[
        Shown, typer.Option(help="Of the messages to print; `both` marks them with < and >.")
    ] = Shown.IN,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Keep the pace in which they came.")
    ] = False,
    speed: Annotated[float, typer.Option(help="How many times faster, with --realtime.")] = 1.0,
    serve: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Serve what came in on 127.0.0.1 instead; 0 takes a free port.",
        ),
    ] = None,
) -> None:
    """
    Print a recording, or serve it as a mock endpoint.

    Messages are printed one a line. Served, each client that connects gets what came in, and
    then a goodbye; what clients send is ignored. Exit code: 0 all went well, 2 the file cannot
    be read, or the port cannot be had.
    """
    try:
        playing = partial(recording.replay, file, realtime=realtime, speed=speed)
        if serve is None:
            anyio.run(print_recording, playing, direction)
        else:
            anyio.run(serve_recording, playing, serve)
    except (OSError, WsfleetError) as exc:
        complain(f"{exc}. {explain(exc).suggestion}")
        raise typer.Exit(BAD_USAGE) from None


@app.command(name="describe")
def describe_name(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Of a class, function, module, error.")
    ] = None,
    member: Annotated[
        str | None, typer.Argument(metavar="MEMBER", help="Of the class or module.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="As one JSON object, for programs.")
    ] = False,
) -> None:
    """
    Describe the library's public API.

    Without a name, it lists what there is. Exit code: 0 all went well, 2 there is no such name.
    """
    try:
        told = describe(name, member)
    except ConfigError as exc:
        complain(str(exc))
        raise typer.Exit(BAD_USAGE) from None
    show(msgspec.json.encode(told).decode() if json else written(told))


def _check_seconds(option: str, seconds: float) -> None:
    if not 0 <= seconds < math.inf:
        raise ConfigError(option, f"must be 0 or more seconds, and finite, not {seconds:g}")


def _split_header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise ConfigError("--header", "must look like NAME:VALUE")
    return name.strip(), value.strip()
