"""Faults of what a session consists of: heartbeats, subscriptions, a login that is renewed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wsfleet import ClientPing, JsonRpcHeartbeat, ServerBeat
from wsfleet.errors import (
    DisconnectedError,
    RequestTimeoutError,
    SessionRejectedError,
    SubscriptionRejectedError,
)
from wsfleet.venues import Grant, Login, Venue

from .acts import over, subscribe, subscribe_and_ask
from .bounds import RETRIED, sum_of
from .fault import ENDED, SAME, Life
from .life_ends import lost
from .peer import FAULT, Peer

if TYPE_CHECKING:
    from .peer import Script

NO: Final = {"code": 11050, "message": "no such channel"}
TWO_RETRIES: Final = ("retry_delay", "retry_delay", "retry_delay")


def refuses(method: str, error: dict[str, Any] | None = None) -> Script:
    """Return a script that refuses a method, or never answers it."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        while True:
            request = await peer.converse(method)
            if error is not None:
                await peer.reply(request, error=error)

    return script


def then_refuses(error: dict[str, Any] | None) -> Script:
    """Return a script that resets its first connection, and restores none on its second."""

    async def script(peer: Peer) -> None:
        if peer.number > 1:
            await refuses("subscribe", error)(peer)
        await peer.start()
        peer.reset()

    return script


async def _subscribes_others(peer: Peer) -> None:
    await peer.accept()
    await peer.reply(await peer.converse("subscribe"), result=["another"])
    await peer.converse()


async def _resets_on_subscribe(peer: Peer) -> None:
    await peer.accept()
    await peer.converse("subscribe")
    peer.reset()


async def _refuses_heartbeat(peer: Peer) -> None:
    await peer.accept()
    first, second = await peer.message(), await peer.message()  # in any order
    asked = second if first["method"] == FAULT else first
    await peer.reply(asked, error={"code": 11029, "message": "invalid"})
    await peer.hang_on()


async def _renews_no_login(peer: Peer) -> None:
    await peer.accept()
    await peer.answer(await peer.converse("login"))
    await refuses_after_first(peer)


async def refuses_after_first(peer: Peer) -> None:
    """Refuse each further login."""
    while True:
        request = await peer.converse("login")
        await peer.reply(request, error={"code": 13009, "message": "unauthorized"})


def renewed() -> Venue:
    """Return a venue whose login is to be renewed after a second."""
    return Venue(
        login=Login(request=lambda _: {"method": "login"}, read=lambda _: Grant(expires_in=1.0))
    )


SESSION: Final = (
    lost(
        "heartbeat-refused",
        "the venue refuses the heartbeat that it is asked for",
        serve=_refuses_heartbeat,
        options={"heartbeat": JsonRpcHeartbeat(interval=10.0)},
        says="heartbeat refused",
        quick=True,
    ),
    lost(
        "ping-message-unanswered",
        "the server does not answer the messages of a heartbeat",
        serve=refuses("fault"),
        options={
            "heartbeat": ClientPing(
                message={"method": "ping"}, answer={"result": "pong"}, interval=0.1, timeout=0.3
            )
        },
        values={"interval": 0.1, "heartbeat timeout": 0.3},
        says="silent",
        detect=sum_of("interval", "heartbeat timeout"),
        logs=("heartbeat.missed",),
    ),
    lost(
        "server-beat-missing",
        "the server stops its beats, whatever else it sends",
        serve=refuses("fault"),
        options={"heartbeat": ServerBeat(expects={"method": "beat"}, timeout=0.3)},
        values={"heartbeat timeout": 0.3},
        says="silent",
        detect=sum_of("heartbeat timeout"),
        logs=("heartbeat.missed",),
    ),
    Life(
        name="subscription-refused",
        words="the venue refuses a channel",
        serve=refuses("subscribe", NO),
        act=subscribe,
        gets=SubscriptionRejectedError,
        says="no such channel",
        connection=SAME,
        quick=True,
    ),
    Life(
        name="subscription-to-another-channel",
        words="the venue's answer names another channel than it was asked for",
        serve=_subscribes_others,
        act=subscribe,
        gets=SubscriptionRejectedError,
        says="does not name it",
        connection=SAME,
    ),
    Life(
        name="subscription-unanswered",
        words="the venue does not answer a subscription",
        serve=refuses("subscribe"),
        act=subscribe,
        options={"request_timeout": 0.3},
        gets=RequestTimeoutError,
        sent=None,
        detect=sum_of("request_timeout"),
        connection=SAME,
    ),
    Life(
        name="reset-during-subscription",
        words="the connection is reset during a subscription",
        serve=_resets_on_subscribe,
        act=subscribe,
        gets=DisconnectedError,
        sent=None,
        recover=RETRIED,
    ),
    lost(
        "restoring-refused",
        "the connection is reset, and the venue refuses to restore a channel",
        serve=then_refuses(NO),
        bad=2,
        act=subscribe_and_ask,
        logs=("subscriptions.restored",),
        quick=True,
    ),
    lost(
        "restoring-unanswered",
        "the connection is reset, and the venue does not answer the restoring of channels",
        serve=then_refuses(None),
        bad=2,
        act=subscribe_and_ask,
        options={"request_timeout": 0.3},
        recover=sum_of("request_timeout", "close_timeout", *TWO_RETRIES),
    ),
    Life(
        name="login-not-renewed",
        words="the venue refuses to renew a login",
        serve=_renews_no_login,
        act=over,
        options={"venue": renewed()},
        gets=SessionRejectedError,
        code=13009,
        says="login refused",
        detect=sum_of(seconds=1.0),
        recover=None,
        connection=ENDED,
    ),
)
