"""Who is shown the messages that come in, before anybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .beats import Beats
    from .subscriptions import Subscriptions


def watcher(
    subscriptions: Subscriptions, beats: Beats, *, by_id: bool
) -> Callable[[Any], bool] | None:
    """
    Return what takes a message that is for wsfleet itself; None where there can be none.

    Args:
        subscriptions: shown all, where the venue answers without ids.
        beats: shown all, where one of them consists of messages.
        by_id: whether the venue answers with ids.
    """
    if by_id:
        return beats.takes if beats.watchful else None
    if not beats.watchful:
        return subscriptions.takes
    return lambda data: subscriptions.takes(data) or beats.takes(data)
