"""What a client tells of itself: states, sizes, counters, times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .metrics import StateMetrics, memory_of

if TYPE_CHECKING:
    from .channels import SubscriptionState
    from .config import Config
    from .correlation import Correlation
    from .delivery import Delivery
    from .events import Handler
    from .heartbeat import HeartbeatHealth
    from .inbox import Inbox
    from .latency import LatencyStats
    from .life import Life
    from .sender import Sender
    from .states import ClientState
    from .subscriptions import Subscriptions


class Gauges:
    """The part of a client that only tells; nothing here waits or changes anything."""

    config: Config
    life: Life
    inbox: Inbox
    _handler: Handler | None
    _requests: Correlation
    _sender: Sender
    _delivery: Delivery
    _subscriptions: Subscriptions

    @property
    def url(self) -> str:
        """The endpoint, without its secrets."""
        return self.life.url

    @property
    def has_handler(self) -> bool:
        """Whether a handler takes the events."""
        return self._handler is not None

    def get_state(self) -> ClientState:
        """Return "connecting", "connected" or "disconnected"."""
        return self.life.state

    def get_health(self) -> float:
        """
        Return 0-100: how fit it is for the next message; 100 is idle and fast, 4 and less has a
        full write buffer.
        """
        connection = self.life.connection
        full = connection is not None and connection.full
        return self._sender.health.score(len(self._requests), self.life.clock(), full=full)

    @property
    def pending(self) -> int:
        """Requests that await a response."""
        return len(self._requests)

    @property
    def errors(self) -> int:
        """Requests without an answer, and connections lost, since it was made."""
        return self._sender.health.errors

    def get_latency_stats(self) -> LatencyStats | None:
        """
        Return the round trips of requests over the last `latency_buffer_size`, or None before
        the first.
        """
        return self._sender.latency.stats()

    def get_heartbeat_health(self) -> HeartbeatHealth | None:
        """Return how the heartbeat does, or None when there is none."""
        return self.life.beats.health(self.life.clock())

    def get_state_metrics(self) -> StateMetrics | None:
        """Return sizes and counters, or None when the client is not running."""
        if not self.life.alive:
            return None
        return StateMetrics(
            generation=self.life.generation,
            pending_requests=len(self._requests),
            subscriptions=len(self._subscriptions.channels),
            inbox=len(self.inbox),
            dropped=self.inbox.dropped,
            sent=self._sender.sent,
            received=self._delivery.received,
            errors=self._sender.health.errors,
            reading_paused=self.life.reading.paused,
            memory=memory_of(self.inbox.waiting()),
        )

    def get_subscriptions(self) -> dict[str, SubscriptionState]:
        """
        Return each channel's state: "pending", "confirmed", "removing", or "rejected" (until
        the connection ends).
        """
        return self._subscriptions.channels.states()
