"""Classes as data: how one is made, what it has and what it can do."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, Final, is_typeddict

import msgspec

from .docstrings import parse
from .signatures import default_text, signature_of, type_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PACKAGE: Final = __name__.partition(".")[0]
_SPOKEN: Final = frozenset({"__aiter__", "__call__", "__iter__"})
"""Special methods that users call by their syntax."""


def kind_of_class(cls: type) -> str:
    """Return what sort of class it is."""
    tests = (
        ("error", issubclass(cls, BaseException)),
        ("enum", issubclass(cls, enum.Enum)),
        ("protocol", getattr(cls, "_is_protocol", False)),
        ("typed dict", is_typeddict(cls)),
        ("struct", issubclass(cls, msgspec.Struct)),
        ("dataclass", dataclasses.is_dataclass(cls)),
    )
    return next((kind for kind, holds in tests if holds), "class")


def bases_of(cls: type) -> list[type]:
    """Return the class and its bases, as far as they are ours, nearest first."""
    return [base for base in cls.__mro__ if base.__module__.partition(".")[0] == PACKAGE]


def constructor(cls: type) -> Signature | None:
    """Return how to make one, or None where users make none, or by rules that are not ours."""
    kind = kind_of_class(cls)
    if kind in {"enum", "protocol", "typed dict"}:
        return None
    if issubclass(cls, msgspec.Struct):
        return _of_struct(cls)
    for base in bases_of(cls):
        if "__init__" in vars(base):
            return signature_of(vars(base)["__init__"], bound=True)
    return None


def _of_struct(cls: type[msgspec.Struct]) -> Signature:
    """Read a struct's own tables; its signature would import what its types only name."""
    fields, defaults = cls.__struct_fields__, cls.__struct_defaults__
    absent = [msgspec.NODEFAULT] * (len(fields) - len(defaults))
    return Signature(
        [
            Parameter(
                name,
                Parameter.POSITIONAL_OR_KEYWORD
                if name in cls.__match_args__
                else Parameter.KEYWORD_ONLY,
                default=Parameter.empty if default is msgspec.NODEFAULT else default,
                annotation=_annotation(cls, name),
            )
            for name, default in zip(fields, [*absent, *defaults], strict=True)
        ]
    )


def said_of(cls: type) -> dict[str, str]:
    """Return what the docstrings of a class and its bases say of parameters and attributes."""
    said: dict[str, str] = {}
    for base in reversed(bases_of(cls)):
        docstring = parse(vars(base).get("__doc__"))
        said |= docstring.attributes
        said |= docstring.args
    return said


def methods_of(cls: type) -> dict[str, Callable[..., Any]]:
    """Return the public methods by name, in the order of their source, own ones first."""
    return {
        name: value
        for name, value in _members(cls)
        if inspect.isroutine(getattr(value, "__func__", value))
    }


def attributes_of(cls: type) -> list[dict[str, Any]]:
    """Return a row for each public attribute: fields, properties, and what is documented."""
    names = [*_documented(cls), *_fields(cls)]
    names += (name for name, value in _members(cls) if isinstance(value, property))
    said = said_of(cls)
    return [_attribute(cls, name, said.get(name, "")) for name in dict.fromkeys(names)]


def enum_members(cls: type) -> list[dict[str, Any]]:
    """Return a row for each member of an enum."""
    if not issubclass(cls, enum.Enum):
        return []
    return [{"name": member.name, "value": member.value} for member in cls]


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for base in bases_of(cls):
        for name, value in vars(base).items():
            public = not name.startswith("_") or (name in _SPOKEN and value.__doc__)
            if public and name not in seen:
                seen.add(name)
                yield name, value


def _documented(cls: type) -> list[str]:
    bases = bases_of(cls)
    return [name for base in bases for name in parse(vars(base).get("__doc__")).attributes]


def _fields(cls: type) -> list[str]:
    if dataclasses.is_dataclass(cls):
        return [field.name for field in dataclasses.fields(cls)]
    if issubclass(cls, msgspec.Struct):
        return list(cls.__struct_fields__)
    return list(inspect.get_annotations(cls)) if is_typeddict(cls) else []


def _attribute(cls: type, name: str, said: str) -> dict[str, Any]:
    value = inspect.getattr_static(cls, name, Parameter.empty)
    made = constructor(cls)
    parameter = None if made is None else made.parameters.get(name)
    if isinstance(value, property):
        said = said or parse(value.__doc__).summary
    return {
        "name": name,
        "type": type_text(_type_of(cls, name, value, parameter)),
        "default": default_text(_default_of(value, parameter)),
        "description": said,
    }


def _type_of(cls: type, name: str, value: Any, parameter: Parameter | None) -> Any:
    if isinstance(value, property) and value.fget is not None:
        return inspect.signature(value.fget).return_annotation
    annotation = _annotation(cls, name)
    if annotation is Parameter.empty and parameter is not None:
        return parameter.annotation
    return annotation


def _default_of(value: Any, parameter: Parameter | None) -> Any:
    if parameter is not None and parameter.default is not Parameter.empty:
        return parameter.default
    return Parameter.empty if inspect.isdatadescriptor(value) else value


def _annotation(cls: type, name: str) -> Any:
    for base in bases_of(cls):
        annotations: Mapping[str, Any] = inspect.get_annotations(base)
        if name in annotations:
            return annotations[name]
    return Parameter.empty
