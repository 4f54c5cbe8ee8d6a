"""Signatures as data: what a callable takes and returns, as its source says it."""

from __future__ import annotations

import inspect
import re
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_MARKS: Final[Mapping[Any, str]] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")  # says nothing, and differs each time
_GENERATED: Final = re.compile(r"AsyncGenerator\[(.+?)(?:, None)?\]")


def signature_of(function: Callable[..., Any], *, bound: bool) -> Signature:
    """Return a signature, without `self` where it is bound to an object."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    return signature.replace(parameters=parameters[1:] if bound else parameters)


def described(signature: Signature, said: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a row for each parameter; `said` has their descriptions."""
    return [
        {
            "name": parameter.name,
            "type": type_text(parameter.annotation),
            "default": default_text(parameter.default),
            "kind": parameter.kind.description,
            "description": said.get(parameter.name, ""),
        }
        for parameter in signature.parameters.values()
    ]


def type_text(annotation: Any) -> str | None:
    """Return an annotation as it is written, or None where there is none."""
    if annotation is Parameter.empty:
        return None
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def default_text(value: Any) -> str | None:
    """Return a default as it would be written, or None where there is none."""
    if value is Parameter.empty:
        return None
    if inspect.isroutine(value) or inspect.isclass(value):
        return str(value.__qualname__)
    shown = repr(value)
    return "..." if _ADDRESS.search(shown) else shown


def returned(function: Callable[..., Any], signature: Signature) -> str | None:
    """Return what a call gives, in the words of its annotation."""
    annotation = type_text(signature.return_annotation)
    if annotation is None or not _is_context_manager(function):
        return annotation
    return _GENERATED.sub(r"AbstractAsyncContextManager[\1]", annotation)


def kind_of_call(function: Callable[..., Any], word: str) -> str:
    """Return how it is called; `word` says what it is when it is called plainly."""
    if _is_context_manager(function):
        return "async context manager"
    if inspect.isasyncgenfunction(function):
        return "async generator"
    return f"async {word}" if inspect.iscoroutinefunction(function) else word


def _is_context_manager(function: Callable[..., Any]) -> bool:
    """Tell what `asynccontextmanager` has made of a generator."""
    inner = inspect.unwrap(function)
    return inner is not function and inspect.isasyncgenfunction(inner)


def signature_text(name: str, signature: Signature, returns: str | None) -> str:
    """Write a signature in one line."""
    arrow = "" if returns is None else f" -> {returns}"
    parameters = ", ".join(_written(list(signature.parameters.values())))
    return f"{name}({parameters}){arrow}"


def _written(parameters: Sequence[Parameter]) -> Iterator[str]:
    before = None
    for parameter in parameters:
        if parameter.kind is not Parameter.POSITIONAL_ONLY is before:
            yield "/"
        is_first_keyword = parameter.kind is Parameter.KEYWORD_ONLY is not before
        if is_first_keyword and before is not Parameter.VAR_POSITIONAL:
            yield "*"
        yield _one(parameter)
        before = parameter.kind
    if before is Parameter.POSITIONAL_ONLY:
        yield "/"


def _one(parameter: Parameter) -> str:
    kind, default = type_text(parameter.annotation), default_text(parameter.default)
    text = _MARKS.get(parameter.kind, "") + parameter.name
    text += "" if kind is None else f": {kind}"
    spaced = "=" if kind is None else " = "
    return text if default is None else text + spaced + default
