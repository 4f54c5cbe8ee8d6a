"""`describe`: the public API as data, for programs and agents."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .aliases import alias
from .classes import (
    attributes_of,
    constructor,
    enum_members,
    kind_of_class,
    methods_of,
    said_of,
)
from .docstrings import parse
from .names import find, matching, members_of, package
from .signatures import (
    described,
    kind_of_call,
    returned,
    signature_of,
    signature_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def describe(name: str | None = None, member: str | None = None) -> dict[str, Any]:
    """
    Describe the public API as data that can be written as JSON.

    It is read from signatures and docstrings, so it says what the running version can do.

    Args:
        name: of a class, a function, a module, an error or a type, whatever the case of its
            letters; None describes the package, which lists the others.
        member: of a class or a module: `describe("Client", "send_message")` is the same as
            `describe("Client.send_message")`.

    Returns:
        `name`, `kind`, `summary` and `description`; for what is called also `signature`,
        `parameters`, `returns` and `raises`; for a class also `attributes`, `methods` and
        `values`; for a module `members`.

    Raises:
        ConfigError: there is no such name; it says which are near.
    """
    if name is None:
        return _module(package().__name__, package())
    path = name if member is None else f"{name}.{member}"
    found, value, rest = find(path)
    if not rest:
        return _thing(found, value)
    if inspect.isclass(value):
        return _member(found, value, rest)
    matching(rest, (), "member", found)
    raise AssertionError  # an empty list matches nothing


def _thing(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, ModuleType):
        return _module(name, value)
    if inspect.isclass(value):
        return _class(name, value)
    if inspect.isroutine(value):
        return _callable(name, value)
    definition, _ = alias(name.rpartition(".")[2], value)
    return {**_head_of(name, value), "definition": definition}


def _head_of(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, ModuleType):
        return _head(name, "module", value.__doc__)
    if inspect.isclass(value):
        return _head(name, kind_of_class(value), value.__doc__)
    if inspect.isroutine(value):
        return _head(name, kind_of_call(value, "function"), value.__doc__)
    return _head(name, "type alias", alias(name.rpartition(".")[2], value)[1])


def _head(name: str, kind: str, text: str | None) -> dict[str, Any]:
    said = parse(text)
    return {
        "name": name,
        "kind": kind,
        "summary": said.summary,
        "description": said.description,
    }


def _module(name: str, module: ModuleType) -> dict[str, Any]:
    heads = [_head_of(each, value) for each, value in sorted(members_of(module).items())]
    members = [{key: head[key] for key in ("name", "kind", "summary")} for head in heads]
    return {**_head_of(name, module), "members": members}


def _class(name: str, cls: type) -> dict[str, Any]:
    made = constructor(cls)
    short = name.rpartition(".")[2]
    methods = (_callable(each, value, bound=True) for each, value in methods_of(cls).items())
    return {
        **_head_of(name, cls),
        "signature": None if made is None else signature_text(short, made, None),
        "parameters": [] if made is None else described(made, said_of(cls)),
        "raises": _raises(cls.__doc__),
        "attributes": attributes_of(cls),
        "methods": [
            {key: method[key] for key in ("name", "kind", "signature", "summary")}
            for method in methods
        ],
        "values": enum_members(cls),
    }


def _member(name: str, cls: type, member: str) -> dict[str, Any]:
    methods = methods_of(cls)
    attributes = {row["name"]: row for row in attributes_of(cls)}
    values = {row["name"]: row for row in enum_members(cls)}
    found = matching(member, [*methods, *attributes, *values], "member", name)
    path = f"{name}.{found}"
    if found in methods:
        return _callable(path, methods[found], bound=True)
    if found in values:
        return {**_head(path, "value", ""), "value": values[found]["value"]}
    row = attributes[found]
    head = _head(path, "attribute", row["description"])
    return {**head, "type": row["type"], "default": row["default"]}


def _callable(
    name: str, function: Callable[..., Any], *, bound: bool = False
) -> dict[str, Any]:
    called = getattr(function, "__func__", function)
    signature = signature_of(called, bound=bound and not isinstance(function, staticmethod))
    said = parse(called.__doc__)
    returns = returned(called, signature)
    return {
        **_head(name, kind_of_call(called, "method" if bound else "function"), called.__doc__),
        "signature": signature_text(name.rpartition(".")[2], signature, returns),
        "parameters": described(signature, said.args),
        "returns": {"type": returns, "description": said.returns},
        "raises": _raises(called.__doc__),
    }


def _raises(text: str | None) -> list[dict[str, str]]:
    return [{"type": name, "when": when} for name, when in parse(text).raises]
