"""A sequential test on the success rate: a sum that rises with each failure and falls with each success.

Each outcome adds the logarithm of how much likelier it is at the bad rate than at the good one; the sum never
falls below 0. Where it reaches the limit, the bad rate has been found. Invariant: `after` over a minute's
counts is never above what the same outcomes give one by one, in any order, at their highest: taken minute by
minute, the test can be up to a minute later, and never raises an alarm that outcome by outcome it would not
have raised. Explained in docs/explanation/guard.md.

Source: E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from rollout.criteria import Criteria

__all__ = ["Weights"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What one failure adds and one success takes away."""

    failure: float
    success: float

    @classmethod
    def of(cls, criteria: Criteria) -> Weights:
        """Return the log-likelihood ratios; with 92 % against 80 %: 0.916 and 0.140."""
        good, bad = criteria.cusum_good_percent, criteria.cusum_bad_percent
        return cls(failure=log((100 - bad) / (100 - good)), success=log(good / bad))

    def after(self, total: float, *, failed: int, succeeded: int) -> float:
        """Return the sum after a minute with these counts; 0 or more."""
        return max(0.0, total + failed * self.failure - succeeded * self.success)
