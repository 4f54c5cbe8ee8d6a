"""
What leaves a client.

Rule 1: a message is handed over whole or not at all; only waiting for room and for an answer
can be cancelled.
Rule 2: every failed send says whether it was sent.
Rule 3: a limiter is asked before anything else is done about a message, and what it let pass
goes out over the connection of that moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from wsfleet._wire.frames import Opcode
from wsfleet.errors import NotConnectedError, RateLimitedError, RequestTimeoutError

from .deadline import Deadline
from .dialogue import Dialogue
from .fairness import DEFLATED, MESSAGE
from .health import Health
from .patience import EXPIRED

if TYPE_CHECKING:
    from collections.abc import Callable

    from wsfleet._wire.connection import Connection

    from .correlation import Correlation, RequestId
    from .gate import Gate
    from .latency import LatencyWindow
    from .life import Life
    from .messages import Outgoing


class Sender:
    """
    Sends over whatever connection a life has at the moment.

    Args:
        client: the client's name.
        life: gives connection and clock.
        requests: those in flight.
        latency: takes the round trips.
        gate: what messages pass first, or None.
    """

    __slots__ = ("_client", "_gate", "_life", "_requests", "health", "latency", "sent")

    def __init__(
        self,
        client: str,
        life: Life,
        requests: Correlation,
        latency: LatencyWindow,
        gate: Gate | None,
    ) -> None:
        self.sent: int = 0
        self.health = Health()
        self.latency = latency
        self._client = client
        self._life = life
        self._requests = requests
        self._gate = gate

    async def send(self, message: Outgoing, timeout: float) -> None:
        """
        Send a message that asks for no response; see `Client.send_message`.

        Args:
            message: what to send.
            timeout: seconds for a limiter and for room in the write buffer.
        """
        if self._gate is not None:
            timeout = max(0.0, await self._left_after(self._gate, message, timeout))
        budget = self._life.budget
        if budget.left <= 0:
            await budget.renew()
        if not self._offer(message):
            await self._send_within(timeout, message, None)

    def offer_text(self, text: str) -> bool:
        """Send a text at once, where nothing stands in the way of that; else do nothing."""
        life = self._life
        connection = life.connection
        if (
            self._gate is not None
            or connection is None
            or not connection.offer(Opcode.TEXT, text)
        ):
            return False
        self.sent += 1
        life.budget.left -= MESSAGE + len(text)
        return True

    def send_nowait(self, message: Outgoing) -> None:
        """Send a message at once; see `Client.send_nowait`."""
        if self._connection().full:
            raise anyio.WouldBlock
        if self._gate is not None:
            self._gate.enter_nowait(message)
        self._hand_over(message)

    async def exchange(self, message: Outgoing, request_id: RequestId, timeout: float) -> Any:
        """Send a request and return its response; see `Client.send_message`."""
        life = self._life
        life.home.check()
        left = timeout
        if self._gate is not None:
            left = await self._left_after(self._gate, message, timeout)
            if left <= 0:  # to send it would only leave its outcome unknown
                raise RateLimitedError(0.0, self._client)
        if life.budget.left <= 0:
            await life.budget.renew()
        started_at = life.clock()
        waiter = life.new_waiter(started_at, left)
        try:
            self._requests.add(request_id, waiter)
            if not self._offer(message):
                await self._send_within(left, message, request_id)
            answer = await waiter
        finally:
            self._requests.remove(request_id, waiter)
            waiter.close()
        now = life.clock()
        if answer is EXPIRED:
            self.health.failed(now)
            raise RequestTimeoutError(self._client, request_id, timeout, None)
        if isinstance(answer, Exception):
            raise answer
        self.latency.add(now - started_at)
        self.health.answered(now - started_at, now)
        return answer

    def dialogue(self) -> Dialogue:
        """
        Return what wsfleet itself can talk through at this moment.

        Raises:
            NotConnectedError: there is no connection.
        """
        return self._dialogue_over(self._connection())

    def own_dialogue(self) -> Dialogue | None:
        """Return the same, also over a connection that is being prepared; None without any."""
        self._life.home.check()
        current = self._life.current
        return None if current is None or not current.open else self._dialogue_over(current)

    def _dialogue_over(self, connection: Connection) -> Dialogue:
        limiter = None if self._gate is None else self._gate.limiter
        return Dialogue(connection, self._requests, limiter, self._life.new_waiter)

    async def _left_after(self, gate: Gate, message: Outgoing, timeout: float) -> float:
        """Pass the gate; return the seconds that are left for the rest."""
        self._connection()  # without one, nothing is taken from the limiter
        deadline = self._life.clock() + timeout
        await gate.enter(message, timeout)
        return deadline - self._life.clock()

    def _offer(self, message: Outgoing) -> bool:
        """Send it at once, where nothing stands in the way of that; else do nothing."""
        life = self._life
        connection = life.connection
        payload = message.payload
        if connection is None or not connection.offer(message.opcode, payload):
            return False
        self.sent += 1
        life.budget.left -= MESSAGE + len(payload)
        return True

    async def _send_within(
        self, timeout: float, message: Outgoing, request_id: RequestId | None
    ) -> None:
        """Send it when there is room; there has to be in time."""
        connection = self._connection()
        if connection.full:
            deadline = Deadline(self._life.new_waiter.grace, timeout, connection)
            try:
                while not await deadline.wait(connection.room):
                    continue
            except TimeoutError:
                self.health.failed(self._life.clock())
                raise RequestTimeoutError(self._client, request_id, timeout, False) from None
        self._hand_over(message)

    def _connection(self) -> Connection:
        self._life.home.check()
        connection = self._life.usable
        if connection is None:
            raise self._not_connected()
        return connection

    def _hand_over(self, message: Outgoing) -> None:
        connection = self._connection()
        self.sent += 1
        size = len(message.payload)
        self._life.budget.left -= MESSAGE + (size * DEFLATED if connection.deflates else size)
        connection.send(message.opcode, message.payload)

    def _not_connected(self) -> NotConnectedError:
        state = str(self._life.state) if self._life.alive else "closed"
        return NotConnectedError(self._client, state)

    def fail_all(self, make_error: Callable[[], Exception]) -> int:
        """
        Take note of a lost connection: every waiting caller fails at once; return how many
        there were.
        """
        self.health.failed(self._life.clock())
        return self._requests.fail_all(make_error)
