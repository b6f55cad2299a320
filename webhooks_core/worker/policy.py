"""How a worker behaves: numbers with their reasons, checked when they are set.

Values only. Invariant: what holds rows (threads, batches) and what lasts (leases, waits) is bounded here and
nowhere else. Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from webhooks_core.delivery import MAX_AGE_SECONDS
from webhooks_core.errors import ConfigError
from webhooks_core.outbox.lease import LeasePolicy, is_duration

MAX_THREADS = 256
AHEAD_SECONDS = 0.03  # longer than a claim and a settle take, and shorter than anybody minds


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPolicy:
    """How a worker claims, sends and settles. Durations are seconds above 0.

    Args:
        threads: Attempts at a time, 1 to 256.
        ahead: Deliveries handed out beyond the threads, at most, so that none of them waits for a claim or a
            settle. Fewer where attempts take long: as many as the threads are through with in 30 ms.
        batch: Rows in one claim or settle, at most.
        lease: How long claims are leased.
        settle_within_seconds: A settlement waits so long for others to share its transaction.
        poll_seconds: New rows that nobody hinted at are found after so long.
        slow_seconds: An endpoint whose attempt takes longer is slow, until one does not.
        sweep_seconds: How often rows of unknown endpoints, beyond their maximum age or of other environments
            are looked for.
        beat_seconds: How often the heartbeat is told.
        max_age_seconds: Beyond it a delivery is no longer kept waiting for an open breaker.
        drain_seconds: How long a worker that was asked to stop waits for its attempts.
        backoff_seconds: The first wait after an outbox failed; it doubles.
        max_backoff_seconds: No wait for the outbox is longer: it is found again within this.
        say_off_seconds: A clock further off than this is told (contract §10).
        max_off_seconds: A clock further off than this does not sign (contract §10).
    """

    threads: int = 8
    ahead: int = 64
    batch: int = 64
    lease: LeasePolicy = field(default_factory=LeasePolicy)
    settle_within_seconds: float = 0.02
    poll_seconds: float = 1.0
    slow_seconds: float = 1.0
    sweep_seconds: float = 60.0
    beat_seconds: float = 5.0
    max_age_seconds: float = MAX_AGE_SECONDS
    drain_seconds: float = 20.0
    backoff_seconds: float = 0.25
    max_backoff_seconds: float = 5.0
    say_off_seconds: float = 5.0
    max_off_seconds: float = 20.0

    def __post_init__(self) -> None:
        """Refuse what is no policy."""
        for name, least, most in (("threads", 1, MAX_THREADS), ("ahead", 0, 10_000), ("batch", 1, 10_000)):
            value = getattr(self, name)
            if not (isinstance(value, int) and not isinstance(value, bool) and least <= value <= most):
                raise ConfigError(f"worker.{name}", f"must be an int from {least} to {most}")
        for name in self.__slots__:
            if name.endswith("_seconds") and not is_duration(getattr(self, name)):
                raise ConfigError(f"worker.{name}", "must be a finite number of seconds above 0")

    @property
    def slots(self) -> int:
        """Deliveries that may be handed out at a time, at most: one for each thread, and those ahead."""
        return self.threads + self.ahead

    def slots_for(self, pace_seconds: float) -> int:
        """Return how many deliveries may be handed out at a time where an attempt takes *pace_seconds*.

        What is handed out has its place for good: an endpoint that comes now stands behind it.
        """
        return self.threads + min(self.ahead, int(self.threads * AHEAD_SECONDS / max(pace_seconds, 1e-6)))

    def cap(self, *, is_slow: bool, is_alone: bool) -> int:
        """Return how many deliveries of one endpoint may be handed out at a time.

        One endpoint of several gets half of the threads, a slow one a quarter, so that the others always find
        one. An endpoint that is alone delays nobody.
        """
        if is_alone:
            return self.slots
        return max(1, self.threads // (4 if is_slow else 2))

    @property
    def slow_cap(self) -> int:
        """How many deliveries of all slow endpoints together may be handed out at a time."""
        return max(1, self.threads // 2)
