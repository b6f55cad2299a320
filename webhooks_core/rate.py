"""How many may be sent now: a token bucket as a pure function of its state.

No clock, no lock; where the state is kept is `stores/rates.py`'s business. Invariants: over any stretch of
time no more than `burst + per_second * seconds` are granted; a clock that is set back costs nobody an hour.
Rates are set per endpoint and rollout stage; see docs/explanation/outbox.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from webhooks_core.errors import ConfigError

BURST_SECONDS = 0.25
"""What may come at once after a pause: a quarter of a second's worth, so that a worker that looks every 50 ms
uses its rate up, and a receiver never sees twice its rate for a whole second.
"""

MOST_PER_SECOND = 100_000.0
"""A cap beyond what any worker sends is a mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePolicy:
    """How fast an endpoint may be sent to.

    Args:
        per_second: Tokens that come in each second, above 0.
        burst: The most that can lie in the bucket, 1 or more; a full bucket is where it begins.
    """

    per_second: float
    burst: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no rate."""
        if not (_is_real(self.per_second) and self.per_second > 0):
            raise ConfigError("rate.per_second", "must be a finite number above 0")
        if not (_is_real(self.burst) and self.burst >= 1):
            raise ConfigError("rate.burst", "must be a finite number, 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateState:
    """What lay in the bucket at a moment (epoch seconds, the store's clock)."""

    tokens: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """How many were granted, what is left, and, where fewer than wanted, when the next one comes."""

    state: RateState
    count: int
    retry_at: float | None = None


def lowest(*caps: float | None) -> RatePolicy | None:
    """Return the policy of the lowest of *caps* (per second; None is no cap), or None where there is none."""
    there = [cap for cap in caps if cap is not None]
    if not there:
        return None
    per_second = min(there)
    return RatePolicy(per_second=per_second, burst=max(1.0, per_second * BURST_SECONDS))


def take(policy: RatePolicy, state: RateState | None, wanted: int, *, now: float) -> Grant:
    """Take up to *wanted* tokens.

    Args:
        policy: The rate; it may be another one than last time.
        state: What was left last time, or None for a bucket that was never used.
        wanted: 0 or more.
        now: Epoch seconds, the store's clock.
    """
    tokens = _filled(policy, state, now=now)
    count = min(wanted, math.floor(tokens))
    left = RateState(tokens=tokens - count, at=now)
    if count == wanted:
        return Grant(state=left, count=count)
    return Grant(state=left, count=count, retry_at=now + (1.0 - left.tokens) / policy.per_second)


def give_back(policy: RatePolicy, state: RateState, unused: int, *, now: float) -> RateState:
    """Put tokens back that were granted and not needed; the bucket holds no more than its burst."""
    tokens = min(policy.burst, _filled(policy, state, now=now) + unused)
    return RateState(tokens=tokens, at=now)


def _filled(policy: RatePolicy, state: RateState | None, *, now: float) -> float:
    if state is None:
        return policy.burst
    return min(policy.burst, state.tokens + max(0.0, now - state.at) * policy.per_second)


def _is_real(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
