from __future__ import annotations

import builtins
import importlib
import json
import sys
from typing import TYPE_CHECKING

import pytest

import wsfleet
from wsfleet import describe, errors
from wsfleet._describe.docstrings import parse
from wsfleet._describe.signatures import signature_of, signature_text

if TYPE_CHECKING:
    from collections.abc import Iterator


def every_name() -> Iterator[str]:
    """Yield each public name of the package, of its modules, and of its classes."""
    for member in describe()["members"]:
        yield member["name"]
        found = describe(member["name"])
        inside = found.get("members", [])
        yield from (f"{member['name']}.{each['name']}" for each in inside)
        classes = [member["name"], *(f"{member['name']}.{each['name']}" for each in inside)]
        for cls in classes:
            for method in describe(cls).get("methods", []):
                yield f"{cls}.{method['name']}"


NAMES = list(every_name())


def is_exception(name: str) -> bool:
    """Tell whether what a docstring calls an exception is one."""
    module, _, last = name.rpartition(".")
    homes = [importlib.import_module(module)] if module else [errors, builtins]
    found = next((getattr(home, last) for home in homes if hasattr(home, last)), None)
    return isinstance(found, type) and issubclass(found, BaseException)


def test_the_whole_public_api_is_listed() -> None:
    """What the package offers is listed, and its modules with it, sorted by name."""
    listed = [member["name"] for member in describe()["members"]]

    assert listed == sorted(listed)
    assert set(listed) >= {*wsfleet.__all__, "testing"}
    assert {"errors.DnsError", "Client.send_message", "recording.read"} <= set(NAMES)
    assert {"Client.__aiter__", "TokenBucket.acquire", "testing.MockServer.stop"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_described(name: str) -> None:
    """
    Each public name says what it is for, what each of its parameters means, and which errors
    it raises; and all that is data which JSON can hold.
    """
    told = describe(name)

    assert json.loads(json.dumps(told)) == told
    assert " at 0x" not in str(told)
    assert told["name"] == f"wsfleet.{name}"
    assert told["summary"]
    if not name.startswith("testing"):  # a kit for tests says less
        assert not [row["name"] for row in told.get("parameters", ()) if not row["description"]]
    assert not [row["type"] for row in told.get("raises", ()) if not is_exception(row["type"])]
    assert all(row["when"] for row in told.get("raises", ()))


@pytest.mark.parametrize("name", [n for n in NAMES if describe(n).get("attributes")])
def test_every_attribute_is_described(name: str) -> None:
    """Each field, property and documented attribute says what it holds."""
    if name != "ClientOptions":  # those of Config, which describes them
        assert not [
            row["name"] for row in describe(name)["attributes"] if not row["description"]
        ]


def test_a_method_is_described() -> None:
    """A method tells its parameters, what it returns, and what it raises and when."""
    told = describe("Client", "request")

    assert told == describe("Client.request")
    assert told["kind"] == "async method"
    assert told["summary"] == "Call a method (JSON-RPC 2.0), with an id of its own."
    assert told["signature"] == (
        "request(method: str, params: Any = None, *, timeout: float | None = None) -> Any"
    )
    assert told["parameters"][2] == {
        "name": "timeout",
        "type": "float | None",
        "default": "None",
        "kind": "keyword-only",
        "description": "seconds; `request_timeout` when None.",
    }
    assert told["parameters"][0]["default"] is None
    assert told["returns"] == {"type": "Any", "description": "The response's `result`."}
    assert told["raises"][0] == {
        "type": "JsonRpcError",
        "when": "the server answered with an error.",
    }


def test_what_follows_a_section_is_description() -> None:
    """What cancelling does stands below the sections, and belongs to the description."""
    assert describe("Client", "run")["description"].endswith(
        "Cancelling it ends the connection without waiting for the peer's goodbye."
    )
    assert "goodbye" not in str(describe("Client", "run")["raises"])


def test_a_config_is_described() -> None:
    """Each setting has its type, its default and its meaning."""
    rows = {row["name"]: row for row in describe("Config")["attributes"]}

    assert rows["retry_delay"] == {
        "name": "retry_delay",
        "type": "float",
        "default": "1.0",
        "description": "the longest wait before the first retry; it doubles with each.",
    }
    assert rows["url"]["default"] is None
    assert rows["safe_url"]["type"] == "str"
    assert rows["safe_url"]["description"] == "The URL without its secrets."
    assert describe("config", "retry_delay")["default"] == "1.0"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("connect", "async context manager"),
        ("explain", "function"),
        ("errors", "module"),
        ("recording", "module"),
        ("Client", "class"),
        ("Client.close", "async method"),
        ("Client.send_nowait", "method"),
        ("Client.pending", "attribute"),
        ("Client.__aiter__", "method"),
        ("Config", "dataclass"),
        ("Config.of", "method"),
        ("ClientState", "enum"),
        ("ClientState.CONNECTED", "value"),
        ("Event", "type alias"),
        ("Message", "struct"),
        ("Heartbeat", "protocol"),
        ("ClientOptions", "typed dict"),
        ("errors.DnsError", "error"),
    ],
)
def test_everything_has_its_kind(name: str, kind: str) -> None:
    """Functions, classes, errors, events, enums, types and modules are told apart."""
    assert describe(name)["kind"] == kind


def test_a_context_manager_says_what_it_gives() -> None:
    """What `connect` returns is for `async with`."""
    assert describe("connect")["returns"]["type"] == "AbstractAsyncContextManager[Client]"
    assert describe("connect")["signature"].startswith(
        "connect(url_or_config: str | Config, *, "
    )


def test_an_event_says_how_it_is_made() -> None:
    """What a handler gets has its members and types, and no default where there is none."""
    assert describe("Message")["signature"] == "Message(data: Any)"
    assert describe("Message", "data")["default"] is None


def test_an_enum_lists_its_values() -> None:
    """The states of a client, and each by itself."""
    assert [row["value"] for row in describe("ClientState")["values"]] == list(
        wsfleet.ClientState
    )
    assert describe("clientstate", "connecting")["value"] == "connecting"


def test_an_alias_says_what_it_stands_for() -> None:
    """A type alias has its definition and its docstring from the source."""
    told = describe("Event")

    assert told["definition"].startswith("Message | Binary | ")
    assert told["summary"] == "Everything that a client may deliver."


def test_an_error_has_what_its_bases_have() -> None:
    """An error tells the attributes of its bases, their types, and its own default."""
    rows = describe("ConnectTimeoutError")["attributes"]

    assert [(row["name"], row["type"], row["default"]) for row in rows] == [
        ("url", "str", None),
        ("detail", "str", None),
        ("attempts", None, None),
        ("recoverable", "bool", "True"),
    ]
    assert describe("TlsError")["signature"] == (
        "TlsError(url: str, detail: str, recoverable: bool = False)"
    )


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("client", "wsfleet.Client"),
        ("wsfleet.Client", "wsfleet.Client"),
        ("DNSERROR", "wsfleet.errors.DnsError"),
        ("errors.dnserror", "wsfleet.errors.DnsError"),
        ("recording.metadata", "wsfleet.recording.metadata"),
        ("recording.Metadata", "wsfleet.recording.Metadata"),
        ("entry.time", "wsfleet.recording.Entry.time"),
    ],
)
def test_the_case_of_letters_does_not_matter(typed: str, name: str) -> None:
    """Names are found as one types them, those of modules also without the module's."""
    assert describe(typed)["name"] == name


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        (("cleint",), "name 'cleint' is not public in wsfleet; did you mean Client"),
        (("Client", "send"), "did you mean send_message, send_nowait?"),
        (("Client", "_overflowed"), "member '_overflowed' is not public in wsfleet.Client"),
        (("errors", "DnsEror"), "did you mean DnsError, "),
        (("connect", "url"), "member 'url' is not public in wsfleet.connect"),
        (("Event", "x"), "not public in wsfleet.Event"),
        (("xyzzy",), "describe() lists what is"),
        (("",), "describe() lists what is"),
        (("os.system",), "describe() lists what is"),
    ],
)
def test_an_unknown_name_is_a_clear_error(typed: tuple[str, ...], text: str) -> None:
    """A name that is not public is refused, with those that are near."""
    with pytest.raises(errors.ConfigError) as caught:
        describe(*typed)
    assert text in str(caught.value)


def test_a_module_whose_packages_are_missing_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the extra `testing`, its module is not listed, and nothing fails."""
    monkeypatch.setitem(sys.modules, "wsfleet.testing", None)

    assert "testing" not in [member["name"] for member in describe()["members"]]


def test_docstrings_are_taken_apart() -> None:
    """Sections, names with asterisks, dots and long descriptions, and drawings are read."""
    said = parse(
        """
        Do it,
        and well.

        First
        words.

            a drawing
              stays

        Args:
            one: is
                long.
            **others: see: there

        Yields:
            Things,
            many.

        Raises:
            a.Error: when
                it fails.

        Last words.
        """
    )

    assert said.summary == "Do it, and well."
    assert said.description == "First words.\n\n    a drawing\n      stays\n\nLast words."
    assert said.args == {"one": "is long.", "others": "see: there"}
    assert said.raises == (("a.Error", "when it fails."),)
    assert said.returns == "Things, many."
    assert parse(None).summary == ""


def test_signatures_are_written_as_python_writes_them() -> None:
    """The marks for positional and keyword-only parameters stand where they must."""

    def some(a: int, /, b, *, c=1) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001
    def many(a: int, /, *b: str, c: int = 1, **d: int) -> None: ...
    def only(a: str, b: str, /) -> None: ...

    written = [
        signature_text("f", signature_of(f, bound=False), None) for f in (some, many, only)
    ]
    assert written == [
        "f(a: int, /, b, *, c=1)",
        "f(a: int, /, *b: str, c: int = 1, **d: int)",
        "f(a: str, b: str, /)",
    ]
