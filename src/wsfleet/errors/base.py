"""The base of all errors, and what is refused before anything is opened."""

from __future__ import annotations


class WsfleetError(Exception):
    """
    Base class of everything that wsfleet raises on purpose.

    Attributes:
        recoverable: whether doing the same again later can succeed.
    """

    recoverable: bool = False


class ConfigError(WsfleetError, ValueError):
    """
    An option has a value that can never work; nothing was opened.

    Attributes:
        option: its name.
        problem: what is wrong with the value, in words.
    """

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(option, problem)
        self.option = option
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.option} {self.problem}"
