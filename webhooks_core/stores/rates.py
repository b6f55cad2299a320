"""Where token buckets are kept: the port `RateStore`, and the store in this process's memory.

What is granted is `rate.take`'s business alone. Invariant: each call is one atomic step. Explained in
docs/explanation/outbox.md.
"""

from __future__ import annotations

from threading import Lock
from typing import Protocol

from webhooks_core.endpoint import EndpointId
from webhooks_core.rate import Grant, RatePolicy, RateState, give_back, take


class RateStore(Protocol):
    """Keep one bucket for each endpoint, shared by all workers."""

    def take(self, endpoint_id: EndpointId, wanted: int, *, policy: RatePolicy, now: float) -> Grant:
        """Take up to *wanted* tokens; see `rate.take`. A store with a clock of its own may go by that."""
        ...

    def give_back(self, endpoint_id: EndpointId, unused: int, *, policy: RatePolicy, now: float) -> None:
        """Put back what was granted and not needed."""
        ...


class MemoryRateStore:
    """Keep buckets in this process. Threads share them, processes do not."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._states: dict[EndpointId, RateState] = {}

    def take(self, endpoint_id: EndpointId, wanted: int, *, policy: RatePolicy, now: float) -> Grant:
        """Take tokens; see `RateStore.take`."""
        with self._lock:
            grant = take(policy, self._states.get(endpoint_id), wanted, now=now)
            self._states[endpoint_id] = grant.state
            return grant

    def give_back(self, endpoint_id: EndpointId, unused: int, *, policy: RatePolicy, now: float) -> None:
        """Put tokens back; see `RateStore.give_back`."""
        with self._lock:
            state = self._states.get(endpoint_id)
            if state is not None:
                self._states[endpoint_id] = give_back(policy, state, unused, now=now)
