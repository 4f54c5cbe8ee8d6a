"""
What to do about each error of wsfleet's own; what happened, its own text says.

Rule: a class without a row is explained as its base; no public one is (a test looks).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wsfleet import errors

from .advice import Advice, Row
from .json_rpc import CODES

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOOK_FIRST: Final = (
    "Ask the server what became of it; repeat it, or declare it idempotent, only if doing it "
    "twice does no harm."
)
_RECONNECTS: Final = "The client reconnects by itself unless `reconnect_on_error` is off."

_STATUSES: Final[Mapping[object, Advice]] = {
    101: Advice(
        "The answer broke RFC 6455: check that the URL leads to a WebSocket server, and that "
        "no proxy between rewrites it."
    ),
    400: Advice("Compare path, `headers` and `subprotocols` with what the server expects."),
    401: Advice("Give credentials that are valid: in `headers`, or as userinfo of the URL."),
    403: Advice(
        "Ask whether the credentials, this machine's address and the `Origin` header may "
        "connect."
    ),
    404: Advice("Correct the path of the URL."),
    407: Advice("Give the proxy's user and password in the URL of `proxy`."),
    426: Advice("Check the path and the `subprotocols`: it speaks another protocol there."),
    429: Advice(
        "Open connections more slowly: give the clients of a fleet one `connect_limiter`."
    ),
    503: Advice("Wait until the server is back; more clients would only add to its load."),
}

_STATES: Final[Mapping[object, Advice]] = {
    "closed": Advice("Start the client again, or send through another one."),
}

_CLOSE_CODES: Final[Mapping[object, Advice]] = {
    1001: Advice(f"The server is going away, for a restart perhaps. {_RECONNECTS}"),
    1002: Advice("The server says that we broke the protocol: please report this bug."),
    1003: Advice("The server does not take such messages: text where it wants binary, or not."),
    1007: Advice("The server could not read the data: check what is sent, and its encoding."),
    1008: Advice("The server's policy forbids what was sent: check credentials and limits."),
    1009: Advice("The message was too big for the server: send smaller ones."),
    1011: Advice(f"The server failed inside. {_LOOK_FIRST}"),
    1012: Advice(f"The server restarts. {_RECONNECTS} {_LOOK_FIRST}"),
    1013: Advice(f"The server is overloaded: send less. {_LOOK_FIRST}"),
}

OURS: Final[Mapping[type[errors.WsfleetError], Row]] = {
    errors.WsfleetError: Row(Advice("Read its text, and that of its cause.")),
    errors.ConfigError: Row(Advice("Correct that value; nothing was opened or sent.")),
    errors.ConnectError: Row(
        Advice("Check the URL, and that a WebSocket server answers there."), ask_cause=True
    ),
    errors.ConnectTimeoutError: Row(
        Advice(
            "Check that the host can be reached and that no firewall drops packets on the way; "
            "on a slow path raise `timeout`."
        )
    ),
    errors.ConnectRefusedError: Row(
        Advice("Check host and port, that the server runs, and that the network is up."),
        ask_cause=True,
    ),
    errors.DnsError: Row(
        Advice("Check the host's spelling and this machine's DNS."), ask_cause=True
    ),
    errors.TlsError: Row(
        Advice("Check the server's TLS, and `ssl_context` if you gave one."), ask_cause=True
    ),
    errors.HandshakeRejectedError: Row(
        Advice("Check URL and credentials, and what the server's own log says."),
        by="status",
        cases=_STATUSES,
    ),
    errors.SessionRejectedError: Row(
        Advice(
            "Check the credentials, what they may do, and the profile given as `venue`; the "
            "server took the connection and then refused."
        ),
        by="code",
        cases=CODES,
    ),
    errors.SendError: Row(Advice("Look at `sent`: None means that it may have been done.")),
    errors.NotConnectedError: Row(
        Advice(
            "Wait until `get_state()` is connected, or let `send_balanced` choose a client "
            "that is."
        ),
        by="state",
        cases=_STATES,
    ),
    errors.RequestTimeoutError: Row(
        Advice(f"{_LOOK_FIRST} If the server is only slow, raise `request_timeout`."),
        by="sent",
        cases={
            False: Advice(
                "Send less, or through more clients: the peer does not read fast enough."
            )
        },
    ),
    errors.DisconnectedError: Row(
        Advice(f"{_RECONNECTS} {_LOOK_FIRST}"), by="code", cases=_CLOSE_CODES
    ),
    errors.BackpressureError: Row(
        Advice(
            "Do less for each event, raise `inbox_bytes`, or choose an `overflow` that drops. "
            f"{_LOOK_FIRST}"
        ),
        by="sent",
        cases={
            False: Advice(
                "Take events before you ask: do less for each, raise `inbox_bytes`, or choose "
                "an `overflow` that drops."
            )
        },
    ),
    errors.DuplicateRequestIdError: Row(
        Advice("Give each request an id of its own, or use `request`, which makes them.")
    ),
    errors.NoConnectionsError: Row(
        Advice(
            "Wait with `wait_connected`, or start more clients; the events in the log say why "
            "none connects."
        )
    ),
    errors.MaxAttemptsExceededError: Row(Advice("Look at each attempt in `attempts`.")),
    errors.SubscriptionRejectedError: Row(
        Advice(
            "Correct the names of the channels in `rejected`, or log in where they are "
            "private; those in `confirmed` are subscribed."
        )
    ),
    errors.RateLimitedError: Row(
        Advice("Send again after `retry_after` seconds, or let `limiter_timeout` wait for it.")
    ),
    errors.JsonRpcError: Row(
        Advice("Look the code up in the server's documentation; `data` may say more."),
        by="code",
        cases=CODES,
    ),
    errors.InboxOverflowError: Row(
        Advice(
            "Do less for each event, raise `inbox_size` or `inbox_bytes`, or choose an "
            "`overflow` that blocks or drops."
        )
    ),
    errors.UnreadableAnswerError: Row(
        Advice(
            "Correct the function of the profile given as `venue`; its cause shows what the "
            "function raised. Ask the server what became of the call."
        )
    ),
    errors.StrayCancellationError: Row(
        Advice(
            "Catch `CancelledError` around what that function awaits; its cause shows where it "
            "came out."
        )
    ),
    errors.RecordingError: Row(
        Advice(
            "Check that it is the file that `record_to` wrote, and that nothing else wrote to "
            "it."
        )
    ),
    errors.RestartLimitError: Row(Advice("Correct what raised; the log has its traceback.")),
}
