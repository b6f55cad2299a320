"""The engine that runs in the calling thread: attempt, sleep, attempt again, return.

For development, tests and scripts. Invariants: before every attempt the permit is asked again (a master
switch turned off stops the next one); nothing is stored, so a delivery that is held, or has to wait longer
than `max_wait_seconds`, ends here with its log line. Explained in docs/explanation/delivery-guarantees.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from webhooks_core.delivery import Delivery, Retrying, Sender, Settlement
from webhooks_core.endpoint import Endpoint

MAX_WAIT_SECONDS = 60.0  # the schedule's cap (contract §6); a Retry-After may ask for an hour


class InlineEngine:
    """Deliver in this thread, sleeping between attempts.

    Args:
        sender: Makes the attempts.
        max_wait_seconds: The longest sleep; where a receiver asks for more, the delivery ends as waiting.
        sleep: Takes seconds.
    """

    def __init__(
        self,
        sender: Sender,
        *,
        max_wait_seconds: float = MAX_WAIT_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sender = sender
        self._max_wait_seconds = max_wait_seconds
        self._sleep = sleep

    def deliver(self, delivery: Delivery, endpoint: Endpoint) -> Settlement:
        """Attempt *delivery* until nothing is left to do in this thread; see `Engine`.

        An open breaker is not slept through: the settlement is `Waiting`, and nobody sends it later.
        """
        settlement = self._sender.attempt(delivery, endpoint)
        while isinstance(settlement, Retrying):
            decision, following = settlement.decision, settlement.delivery
            if decision.wait_seconds > self._max_wait_seconds:
                reason = "next attempt too far off for the inline engine"
                return self._sender.waiting(following, reason=reason, retry_at=decision.when)
            self._sleep(decision.wait_seconds)
            settlement = self._sender.attempt(following, endpoint)
        return settlement
