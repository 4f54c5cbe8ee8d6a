"""Faults of an attempt after the upgrade: while a session is set up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from wsfleet import TokenBucket
from wsfleet.errors import ConnectTimeoutError, SessionRejectedError
from wsfleet.venues import Venue

from .attempt_redirects import LOGIN
from .bounds import sum_of
from .fault import Attempt
from .peer import BINARY, CLOSE, PING, TEXT, close_frame, frame

if TYPE_CHECKING:
    from .peer import Peer, Script

TEMPORARY: Final = 10040
LOGGING_IN: Final = Venue(login=LOGIN, temporary=frozenset({TEMPORARY}))
CALLING: Final = Venue(calls=({"method": "hello"},))
QUICK_LOGIN: Final = Venue(login=replace(LOGIN, timeout=0.3))


def login_gets(**members: Any) -> Script:
    """Return a script that answers a login with these members of a response."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.reply(await peer.converse("login"), **members)
        await peer.converse()

    return script


def login_meets(data: bytes, *, answered: bool = False) -> Script:
    """Return a script that sends these bytes when somebody logs in."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        request = await peer.converse("login")
        await peer.write(data)
        if answered:
            await peer.answer(request)
            await peer.converse()
        await peer.hang_on()

    return script


def refuses(name: str, words: str, error: Any, says: str, **more: Any) -> Attempt:
    """Return the fault that a venue refuses the login."""
    given: dict[str, Any] = {"options": {"venue": LOGGING_IN}, "recover": None}
    return Attempt(
        name=name,
        words=words,
        serve=login_gets(error=error),
        gets=SessionRejectedError,
        says=says,
        **(given | more),
    )


def _raise(_: Any) -> Any:
    raise LookupError


async def _reset_during_login(peer: Peer) -> None:
    await peer.accept()
    await peer.converse("login")
    peer.reset()


async def _mute_after_upgrade(peer: Peer) -> None:
    await peer.accept()
    await peer.hang_on()


async def _refuse_call(peer: Peer) -> None:
    await peer.accept()
    await peer.reply(await peer.converse("hello"), error={"code": 7, "message": "no"})
    await peer.hang_on()


SESSIONS: Final = (
    refuses(
        "login-refused",
        "the venue refuses the login",
        {"code": 13004, "message": "invalid_credentials"},
        "login refused: invalid_credentials",
        code=13004,
        quick=True,
    ),
    Attempt(
        name="login-refused-for-now",
        words="the venue refuses the login with an error that it calls temporary",
        serve=login_gets(error={"code": TEMPORARY, "message": "retry"}),
        options={"venue": LOGGING_IN},
        gets=SessionRejectedError,
        code=TEMPORARY,
        quick=True,
    ),
    refuses(
        "login-error-code-is-a-list",
        "the venue refuses the login, and the code of its error is a list",
        {"code": [1], "message": "odd"},
        "odd",
        quick=True,
    ),
    refuses(
        "login-error-is-text",
        "the venue refuses the login, and its error is a text",
        "go away",
        "go away",
    ),
    Attempt(
        name="login-unanswered",
        words="the venue does not answer the login",
        serve=_mute_after_upgrade,
        options={"venue": QUICK_LOGIN},
        values={"login timeout": 0.3},
        gets=ConnectTimeoutError,
        says="login",
        detect=sum_of("login timeout"),
        recover=sum_of("close_timeout", "retry_delay"),
        quick=True,
    ),
    Attempt(
        name="login-held-up-by-the-limiter",
        words="the client's own limiter has no room for the login in time",
        options=lambda _: {"venue": QUICK_LOGIN, "limiter": TokenBucket(1, 0.01)},
        values={"login timeout": 0.3},
        url=lambda stage: stage.url,
        serve=_mute_after_upgrade,
        gets=ConnectTimeoutError,
        says="login",
        detect=sum_of("login timeout"),
        stays=True,
    ),
    Attempt(
        name="closed-during-login",
        words="the server sends a close frame instead of an answer to the login",
        serve=login_meets(close_frame(1008, "who are you")),
        options={"venue": LOGGING_IN},
        gets=SessionRejectedError,
        code=1008,
        says="who are you",
        recover=sum_of("close_timeout", "retry_delay"),
    ),
    Attempt(
        name="reset-during-login",
        words="the server resets the connection during the login",
        serve=_reset_during_login,
        options={"venue": LOGGING_IN},
        gets=SessionRejectedError,
        says="before it was ready",
    ),
    Attempt(
        name="broken-frame-during-login",
        words="the server breaks RFC 6455 during the login",
        serve=login_meets(frame(CLOSE, b"x")),
        options={"venue": LOGGING_IN},
        gets=SessionRejectedError,
        says="before it was ready",
        recover=sum_of("close_timeout", "retry_delay"),
    ),
    Attempt(
        name="noise-during-login",
        words="other messages come before the answer to the login",
        serve=login_meets(
            frame(TEXT, b"{") + frame(BINARY, b"\xff") + frame(PING) + frame(TEXT, b"[1]"),
            answered=True,
        ),
        options={"venue": LOGGING_IN},
        quick=True,
    ),
    Attempt(
        name="login-cannot-be-read",
        words="the function `Login.read` raises",
        options={"venue": Venue(login=replace(LOGIN, read=_raise))},
        gets=SessionRejectedError,
        stays=True,
        quick=True,
    ),
    Attempt(
        name="call-refused",
        words="the venue refuses a call that each session begins with",
        serve=_refuse_call,
        options={"venue": CALLING},
        gets=SessionRejectedError,
        code=7,
        says="hello refused",
        recover=None,
    ),
    Attempt(
        name="call-unanswered",
        words="the venue does not answer a call that each session begins with",
        serve=_mute_after_upgrade,
        options={"venue": CALLING, "request_timeout": 0.3},
        gets=ConnectTimeoutError,
        says="hello",
        detect=sum_of("request_timeout"),
        recover=sum_of("close_timeout", "retry_delay"),
    ),
)
