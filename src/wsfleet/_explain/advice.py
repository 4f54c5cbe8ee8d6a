"""
What there is to say about an error.

Rule: nothing here repeats a text that is not wsfleet's own: those of other libraries quote URLs
and header values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    What an error means.

    Attributes:
        message: what happened, in one line; never with a secret.
        suggestion: what to do about it, in whole sentences.
        recoverable: whether doing the same again later can succeed.
    """

    message: str
    suggestion: str
    recoverable: bool

    def __str__(self) -> str:
        return f"{self.message}. {self.suggestion}"


@dataclass(frozen=True, slots=True)
class Advice:
    """
    What to do about one kind of error.

    Attributes:
        suggestion: in whole sentences.
        message: what happened; None where the error says it in words of ours.
        recoverable: None where the error knows.
    """

    suggestion: str
    message: str | None = None
    recoverable: bool | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """
    A row of a table of errors.

    Attributes:
        advice: where no case fits.
        by: the attribute of the error that chooses a case.
        cases: advice by the attribute's value.
        ask_cause: whether the error's `__cause__` knows better what to do.
    """

    advice: Advice
    by: str = ""
    cases: Mapping[object, Advice] = field(default_factory=dict)
    ask_cause: bool = False

    def advice_for(self, error: BaseException) -> Advice:
        """Return what to do about this one."""
        value = getattr(error, self.by, None) if self.by else None
        # A server may have put anything there.
        chooses = value is None or isinstance(value, int | str)
        return self.cases.get(value, self.advice) if chooses else self.advice
