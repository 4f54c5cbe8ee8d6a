"""Answers that no server should give: what is raised because of them is never a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.unit.fakes import FakeLink, FakeNetwork, FakeServer
from wsfleet import ChildSpec, ClientSupervisor, connect
from wsfleet._client.messages import result_of
from wsfleet.errors import ConnectError, JsonRpcError, SendError, WsfleetError
from wsfleet.testing.virtual_time import virtual_backends
from wsfleet.venues import deribit

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "ws://fake/"
LARGE = "<large>"
"""Stands for a text of many characters; a test that fails shows what was sent."""
NUMBERS = st.one_of(
    st.integers(), st.sampled_from([2**64, -1, 0, 10028]), st.floats(allow_nan=False)
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    st.sampled_from(["", "x", "10028", "test_request", "heartbeat", LARGE]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["code", "message", "type", "x"]), inner, max_size=3),
    ),
    max_leaves=6,
)
ERRORS = st.one_of(
    VALUES,
    st.fixed_dictionaries({}, optional={"code": VALUES, "message": VALUES, "data": VALUES}),
)
GRANTS = st.fixed_dictionaries({}, optional={"refresh_token": VALUES, "expires_in": VALUES})
ANSWERS = st.one_of(
    st.fixed_dictionaries({"error": ERRORS}),
    st.fixed_dictionaries({"result": st.one_of(VALUES, GRANTS)}),
    st.fixed_dictionaries({"error": ERRORS, "result": VALUES}),
    st.just({}),
)
NOTIFICATIONS = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {"method": st.one_of(st.just("heartbeat"), VALUES)}, optional={"params": VALUES}
    ),
    st.fixed_dictionaries({"id": VALUES}, optional={"result": VALUES, "error": ERRORS}),
)


class StrangeServer:
    """Answers each call with the next of its answers, and sends notifications."""

    def __init__(
        self, server: FakeServer, answers: list[Any], notifications: list[Any]
    ) -> None:
        self.answers = self.repeat(answers)
        self.notifications = notifications
        server._on_text = self.on_text  # type: ignore[method-assign]

    @staticmethod
    def repeat(answers: list[Any]) -> Iterator[Any]:
        while True:
            yield from answers

    def on_text(self, link: FakeLink, text: str) -> None:
        """Answer, and then say something that nobody asked for."""
        request = msgspec.json.decode(text)
        if "id" in request:
            link.send(as_text({"id": request["id"], **next(self.answers)}))
        for notification in self.notifications:
            link.send(as_text(notification))


def as_text(data: Any) -> str:
    """Return a message as JSON."""
    return msgspec.json.encode(data).decode().replace(LARGE, "x" * 10_000)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(max_examples=15)
@given(
    answers=st.lists(ANSWERS, min_size=1, max_size=4),
    notifications=st.lists(NOTIFICATIONS, max_size=3),
)
def test_no_answer_is_a_crash(
    backend: str, answers: list[Any], notifications: list[Any]
) -> None:
    """
    Whatever a server answers to a login, a heartbeat, a subscription and a request: the client
    fails in typed errors, and nothing that the server sent counts as a crash of user code.
    """
    name, options = virtual_backends()[backend]

    texts: list[str] = []

    async def live() -> None:
        network = FakeNetwork()
        StrangeServer(network.server(URL), answers, notifications)
        venue = deribit(client_id="id", client_secret="s", cancel_on_disconnect=True)
        children = [
            ChildSpec(URL, name="full", venue=venue, handler=print_nothing, retry_delay=0.1),
            ChildSpec(URL, name="plain", heartbeat=None, handler=print_nothing),
        ]
        async with ClientSupervisor(children, opener=network) as pool:
            plain = pool.list_clients()[-1]
            for call in (plain.request("m"), plain.subscribe(["a", "b"])):
                try:
                    await call
                except WsfleetError as error:
                    texts.append(str(error))
            await anyio.sleep(30)

    with capture_logs() as entries:
        anyio.run(live, backend=name, backend_options=options)
    assert all(len(text) < 5_000 for text in texts)
    assert not [e for e in entries if e["event"] == "client.crashed"]
    assert not [e for e in entries if e["event"] == "venue.function_failed"]


def print_nothing(_: Any) -> None:
    """Take an event."""


@settings(max_examples=100)
@given(error=ERRORS)
def test_every_error_object_becomes_an_error(error: Any) -> None:
    """A code that is no integer is 0, and the whole object is in `data`."""
    if error is None:
        assert result_of({"error": None, "result": 1}) == 1
        return
    with pytest.raises(JsonRpcError) as caught:
        result_of({"error": error}, frozenset({10028}))
    raised = caught.value
    assert type(raised.code) is int
    assert isinstance(raised.message, str)
    assert len(str(raised)) < 2000
    if isinstance(error, dict) and type(error.get("code", 0)) is not int:
        assert raised.code == 0 or raised.code == error["code"]
        assert raised.code != 0 or raised.data in (error, error.get("data"))


@pytest.mark.anyio
async def test_a_heartbeat_of_ours_that_fails_ends_the_connection(
    network: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else a server makes our own heartbeat raise is the end of that connection."""

    def broken(_: Any, __: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("wsfleet._wire.connection.Connection.ping", broken)
    async with connect(URL, opener=network, heartbeat_interval=5.0, retry_delay=0.1) as client:
        await anyio.sleep(20)
        health = client.get_heartbeat_health()
        assert health is not None
        assert health.failures >= 2
        assert client.life.alive


@pytest.mark.anyio
async def test_a_login_that_raises_something_of_ours_fails_the_attempt(
    network: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for what is done before a connection can be used."""

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("wsfleet._client.preparation.refused", broken)
    network.server(URL)._on_text = (  # type: ignore[method-assign]
        lambda link, text: link.send({"id": msgspec.json.decode(text)["id"], "error": 1})
    )
    venue = deribit(client_id="id", client_secret="s", cancel_on_disconnect=True)
    with pytest.raises((ConnectError, SendError)) as caught:
        async with connect(URL, opener=network, venue=venue, retry_count=1, retry_delay=0.1):
            pytest.fail("it never connected")
    assert isinstance(caught.value, ConnectError)


@pytest.mark.anyio
async def test_what_fails_while_reading_ends_the_connection(
    network: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of ours in the step that reads ends that connection; the client comes back."""

    def broken(*_: Any) -> bool:
        raise ZeroDivisionError

    async with connect(URL, opener=network, retry_delay=0.1) as client:
        monkeypatch.setattr("wsfleet._client.correlation.Correlation.resolve", broken)
        network.server(URL).link.send({"id": 99, "result": 1})
        assert client.get_state() == "disconnected"
        assert network.server(URL).link.goodbye == (1011, "")
        monkeypatch.undo()
        await client.wait_connected()


@pytest.mark.anyio
async def test_what_ends_the_program_while_reading_ends_the_connection(
    network: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    `SystemExit` of a task that goes on in the step that reads its response goes on, and leaves
    no connection behind that is open and not read.
    """

    def leaves(*_: Any) -> bool:
        raise SystemExit(3)

    async with connect(URL, opener=network, retry_delay=0.1) as client:
        monkeypatch.setattr("wsfleet._client.correlation.Correlation.resolve", leaves)
        with pytest.raises(SystemExit):
            network.server(URL).link.send({"id": 99, "result": 1})
        assert client.get_state() == "disconnected"
        monkeypatch.undo()
        await client.wait_connected()
