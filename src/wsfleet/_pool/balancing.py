"""
One message over a pool: choose, try, and fail over where that is safe.

Rule: a message of which it is unknown whether it was sent is never sent again, unless the
caller said that it may be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from anyio.lowlevel import checkpoint

from wsfleet._client.fairness import MESSAGE, running_budget
from wsfleet._client.user_code import raise_stray
from wsfleet._log import log
from wsfleet.errors import (
    ConfigError,
    MaxAttemptsExceededError,
    NoConnectionsError,
    SendError,
)

from .candidates import Candidate, discover

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsfleet._client.binding import LoopBinding

    from .candidates import Discovery
    from .routing import Router


async def send_over(
    own: Sequence[Candidate],
    message: Any,
    discovery: Discovery | None,
    *,
    home: LoopBinding,
    router: Router,
    max_attempts: int,
    idempotent: bool,
    known: int,
) -> Any:
    """
    Send a message through one of the candidates; see `ClientSupervisor.send_balanced`.

    Args:
        own: the candidates where `discovery` is None, connected or not.
        message: what to send.
        discovery: names the candidates.
        home: the event loop that this has to run on.
        router: chooses among them.
        max_attempts: candidates to try.
        idempotent: whether to repeat what may have been sent.
        known: how many clients there are without a discovery, for the error's text.

    Raises:
        NoConnectionsError: none is connected.
        MaxAttemptsExceededError: all attempts failed.
        SendError: one failed, and whether the message was sent is unknown.
    """
    try:
        if max_attempts < 1:
            raise ConfigError(  # noqa: TRY301 - a function more for each message
                "max_attempts", f"must be 1 or more, not {max_attempts!r}"
            )
        if discovery is not None:
            await _take_turn()
            own = await discover(discovery)
            known = len(own)
        tried: list[Candidate] = []
        attempts: list[tuple[str, Exception]] = []
        try:
            chosen = router.choose(own, ())
            while chosen is not None:
                try:
                    return await chosen.send_message(message)
                except SendError as error:
                    if error.sent is not False and not idempotent:
                        raise
                    tried.append(chosen)
                    attempts.append((chosen.name, error))
                    chosen = None if len(tried) >= max_attempts else router.choose(own, tried)
                    _log_failover(attempts, chosen)
        except BaseException as error:
            raise_stray(error, Candidate)  # a candidate of the user's may let it out
            raise
        home.check()  # where there was a candidate, it has checked this itself
        _raise_failed(attempts, known)
    except Exception:
        del message  # tracebacks may show local variables
        await checkpoint()  # see `fairness`
        raise


async def _take_turn() -> None:
    """Let the event loop run where it is due: candidates of the user's may never wait."""
    budget = running_budget()
    if budget.left <= 0:
        await budget.renew()
    budget.left -= MESSAGE


def _raise_failed(attempts: list[tuple[str, Exception]], known: int) -> NoReturn:
    if attempts:
        raise MaxAttemptsExceededError(attempts) from attempts[-1][1]
    log.warning("pool.no_connections", candidates=known)
    raise NoConnectionsError(known)


def _log_failover(attempts: list[tuple[str, Exception]], chosen: Candidate | None) -> None:
    if chosen is not None:
        name, error = attempts[-1]
        log.warning(
            "pool.failover",
            client=name,
            to=chosen.name,
            attempt=len(attempts),
            error=str(error),
        )
