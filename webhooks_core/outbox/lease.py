"""The lease of a claim, as a worker sees it: when to renew it, when an attempt may start, when it is lost.

Pure, and by the worker's own monotonic clock: a lease is counted from before the call that asked for it, so
that a worker believes it shorter than the store does, whatever the two wall clocks say. Invariant: an attempt
starts only with at least half of the lease left. Explained in docs/explanation/outbox.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from webhooks_core.errors import ConfigError

LEASE_SECONDS = 15.0  # DESIGN §4; a crash is made good within it plus one poll
RENEW_SHARE = 1 / 3  # renewed when a third is used: two more tries before it is lost
START_SHARE = 1 / 2  # contract of the outbox: an attempt starts only with at least half of it left


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasePolicy:
    """How long claims are leased.

    Args:
        seconds: The full lease, above 0. Attempts may take longer: a living worker renews.
    """

    seconds: float = LEASE_SECONDS

    def __post_init__(self) -> None:
        """Refuse what is no duration."""
        if not is_duration(self.seconds):
            raise ConfigError("lease.seconds", "must be a finite number of seconds above 0")

    def until(self, asked_at: float) -> float:
        """Return when a lease that was asked for at *asked_at* ends."""
        return asked_at + self.seconds

    def renew_at(self, until: float) -> float:
        """Return when a lease that ends at *until* is to be renewed."""
        return until - self.seconds * (1 - RENEW_SHARE)

    def may_start(self, until: float, *, now: float) -> bool:
        """Return whether an attempt may start at *now* under a lease that ends at *until*."""
        return until - now >= self.seconds * START_SHARE


def is_duration(value: object) -> bool:
    """Return whether *value* is a finite number of seconds above 0."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf
