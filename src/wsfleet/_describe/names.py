"""The public names, and how to find the one that somebody means."""

from __future__ import annotations

import difflib
import importlib
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from wsfleet.errors import ConfigError

from .classes import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODULES: Final = ("venues", "testing")
"""Public modules that the package itself need not import: some need an extra."""

_TELLING: Final = 3  # letters; fewer are part of too many names


def package() -> ModuleType:
    """Return the package; it imports this module, which therefore cannot import it above."""
    return importlib.import_module(PACKAGE)


def members_of(module: ModuleType) -> dict[str, Any]:
    """Return what a module offers, by name."""
    members = {name: getattr(module, name) for name in module.__all__}
    if module.__name__ == PACKAGE:
        for name in _MODULES:
            with suppress(ImportError):
                members[name] = importlib.import_module(f"{PACKAGE}.{name}")
    return members


def find(path: str) -> tuple[str, Any, str]:
    """
    Find what a dotted path means, whatever the case of its letters.

    Names of public modules are found without the module's, too.

    Args:
        path: such as `Client`, `errors.DnsError`, `dnserror` or `client.send_message`.

    Returns:
        The full name, the value, and the rest of the path, which its members are asked for.

    Raises:
        ConfigError: there is no such name.
    """
    first, _, rest = path.removeprefix(f"{PACKAGE}.").partition(".")
    offered = _everywhere()
    name, value = offered[matching(first, offered, "name", PACKAGE)]
    while rest and isinstance(value, ModuleType):
        first, _, rest = rest.partition(".")
        members = members_of(value)
        spelled = matching(first, members, "name", name)
        name, value = f"{name}.{spelled}", members[spelled]
    return name, value, rest


def matching(typed: str, names: Iterable[str], what: str, where: str) -> str:
    """
    Return the name that is meant.

    Args:
        typed: what somebody typed.
        names: those that there are.
        what: the name of the argument.
        where: whose names they are.

    Raises:
        ConfigError: none is meant; it says which are near.
    """
    exact = set(names)
    folded = {name.casefold(): name for name in sorted(exact)}
    found = typed if typed in exact else folded.get(typed.casefold())
    if found is None:
        raise ConfigError(what, f"{typed!r} is not public in {where}{_hint(typed, folded)}")
    return found


def _hint(typed: str, folded: dict[str, str]) -> str:
    low = typed.casefold()
    near = difflib.get_close_matches(low, folded)
    near += [name for name in folded if len(low) >= _TELLING and low in name]
    names = ", ".join(folded[name] for name in dict.fromkeys(near))
    return f"; did you mean {names}?" if names else "; describe() lists what is"


def _everywhere() -> dict[str, tuple[str, Any]]:
    """Return what the package offers, and behind it what its modules do."""
    top = members_of(package())
    found = {name: (f"{PACKAGE}.{name}", value) for name, value in top.items()}
    for module, value in top.items():
        if isinstance(value, ModuleType):
            for name, inner in members_of(value).items():
                found.setdefault(name, (f"{PACKAGE}.{module}.{name}", inner))
    return found
