"""Where token buckets are kept: the ports `RateStore` and `StageCap`, and the store in this process's memory.

What is granted is `rate.take`'s business alone. Invariant: each call is one atomic step. Explained in
docs/explanation/outbox.md.
"""

from __future__ import annotations

from threading import Lock
from typing import Protocol

from webhooks_core.endpoint import EndpointId
from webhooks_core.errors import ConfigError
from webhooks_core.rate import MOST_PER_SECOND, Grant, RatePolicy, RateState, give_back, take


class RateStore(Protocol):
    """Keep one bucket for each endpoint, shared by all workers."""

    def take(self, endpoint_id: EndpointId, wanted: int, *, policy: RatePolicy, now: float) -> Grant:
        """Take up to *wanted* tokens; see `rate.take`. A store with a clock of its own may go by that."""
        ...

    def give_back(self, endpoint_id: EndpointId, unused: int, *, policy: RatePolicy, now: float) -> None:
        """Put back what was granted and not needed."""
        ...


class StageCap(Protocol):
    """Keep the cap that a rollout's stage puts on every endpoint; the lower of it and its own rules.

    Attempts a second, above 0; None is no cap.
    """

    def stage_rate(self) -> float | None:
        """Return the cap in force, at most half a second old."""
        ...

    def set_stage_rate(self, per_second: float | None) -> None:
        """Put another cap in force, for all workers.

        Raises:
            ConfigError: It is none.
        """
        ...


def check_stage_rate(per_second: float | None) -> None:
    """Refuse what is no cap.

    Raises:
        ConfigError: Not above 0 and at most `MOST_PER_SECOND`.
    """
    is_number = isinstance(per_second, (int, float)) and not isinstance(per_second, bool)
    if per_second is not None and not (is_number and 0 < per_second <= MOST_PER_SECOND):
        raise ConfigError("per_second", f"must be above 0 and at most {MOST_PER_SECOND:.0f}, or None")


class MemoryRateStore:
    """Keep buckets, and a stage's cap, in this process. Threads share them, processes do not."""

    def __init__(self) -> None:
        self._stage_rate: float | None = None
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

    def stage_rate(self) -> float | None:
        """Return the cap; see `StageCap.stage_rate`."""
        return self._stage_rate

    def set_stage_rate(self, per_second: float | None) -> None:
        """Put another cap in force; see `StageCap.set_stage_rate`."""
        check_stage_rate(per_second)
        self._stage_rate = per_second
