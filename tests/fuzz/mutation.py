"""Damage, to bytes and to text: what a hostile or broken peer does to what was right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_LENGTHS: Final = (0, 1, 2, 7, 125, 126, 127)


def damage(rng: Random, data: bytes) -> bytes:
    """Return the data with a few places changed, gone, doubled or come new."""
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        rng.choice(_WAYS)(rng, damaged)
    return bytes(damaged)


def damage_text(rng: Random, text: str, alphabet: str) -> str:
    """Return the text with a few characters gone, doubled, or come new from an alphabet."""
    characters = list(text)
    for _ in range(rng.randint(0, 4)):
        at = rng.randint(0, len(characters))
        characters[at : at + rng.randint(0, 2)] = rng.choices(alphabet, k=rng.randint(0, 2))
        if rng.random() < 0.3:
            characters += characters[rng.randint(0, len(characters)) :]
    return "".join(characters)


def _place(rng: Random, data: bytearray) -> slice:
    start = rng.randint(0, len(data))
    return slice(start, start + rng.choice(_LENGTHS))


def _flip(rng: Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _overwrite(rng: Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice(
            (0, 0x7E, 0x7F, 0x80, 0xFF, rng.randrange(256))
        )


def _cut(rng: Random, data: bytearray) -> None:
    del data[_place(rng, data)]


def _insert(rng: Random, data: bytearray) -> None:
    start = rng.randint(0, len(data))
    data[start:start] = rng.randbytes(rng.choice(_LENGTHS))


def _repeat(rng: Random, data: bytearray) -> None:
    start = rng.randint(0, len(data))
    data[start:start] = data[_place(rng, data)]


def _end(rng: Random, data: bytearray) -> None:
    del data[rng.randint(0, len(data)) :]


_WAYS: Final[tuple[Callable[[Random, bytearray], None], ...]] = (
    _flip,
    _flip,
    _overwrite,
    _cut,
    _insert,
    _repeat,
    _end,
)
