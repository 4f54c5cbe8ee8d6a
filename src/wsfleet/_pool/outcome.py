"""What a block of a supervisor ends with, so that one error comes out, as it is."""

from __future__ import annotations


class Outcome:
    """
    The errors that end a block; each is raised by the task that owns the block, after its task
    group, which would wrap it.

    Attributes:
        exit: what user code of a client raised to end the program.
        block_error: what the block itself raised.
        limit_error: why the clients are not restarted any more.
    """

    __slots__ = ("block_error", "exit", "limit_error")

    def __init__(self) -> None:
        self.exit: BaseException | None = None
        self.block_error: BaseException | None = None
        self.limit_error: Exception | None = None

    def raise_exit(self) -> None:
        """Raise what ends the program, if anything does; it comes before all others."""
        if self.exit is not None:
            raise self.exit from self.exit.__cause__ or self.block_error

    def raise_error(self) -> None:
        """Raise what else ended the block, if anything did."""
        if (error := self.block_error or self.limit_error) is not None:
            raise error
