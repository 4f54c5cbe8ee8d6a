"""Type aliases as data; a union at runtime knows neither its name nor its docstring."""

from __future__ import annotations

import ast
import inspect
import sys
from typing import TYPE_CHECKING, Any

from .classes import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


def alias(name: str, value: object) -> tuple[str, str]:
    """Return an alias's definition and its docstring, as its source has them."""
    for module in _homes(name, value):
        body = ast.parse(inspect.getsource(module)).body
        for statement, after in zip(body, [*body[1:], None], strict=True):
            if isinstance(statement, ast.AnnAssign) and _is_called(statement, name):
                return ast.unparse(statement.value or statement.target), _text(after)
    return str(value), ""


def _homes(name: str, value: object) -> Iterator[ModuleType]:
    """Yield the modules that have it: the one that defines it, and those that import it."""
    for path, module in list(sys.modules.items()):
        if path.partition(".")[0] == PACKAGE and vars(module).get(name) is value:
            yield module


def _is_called(statement: ast.AnnAssign, name: str) -> bool:
    return isinstance(statement.target, ast.Name) and statement.target.id == name


def _text(statement: Any) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return str(statement.value.value)
    return ""
