"""What the guard remembers of one endpoint between minutes, and what a minute makes of it.

Pure. Invariants: of a minute's failures, two numbers are given back, one for while most endpoints succeed and
one for otherwise; neither is above the failures themselves. Explained in docs/explanation/guard.md.
"""

from __future__ import annotations

from typing import NamedTuple

from rollout.counters import Counts
from rollout.reach import THERE, Reach
from rollout.streaks import FRESH, Streak, count

__all__ = ["Endpoint"]


class Endpoint(NamedTuple):
    """What is remembered of one endpoint."""

    failures: Streak = FRESH
    unanswered: Streak = FRESH
    #: So many failures in a row without a success, or more failures than successes in its last minute.
    is_failing: bool = False
    reach: Reach = THERE
    #: The last minute in which it was used.
    seen: int = 0
    #: (minute, breaker openings), only where there were some, of the last 24 h.
    openings: tuple[tuple[int, int], ...] = ()

    def openings_since(self, minute: int) -> int:
        """Return how often its breaker opened in *minute* or later."""
        return sum(times for at, times in self.openings if at >= minute)

    def with_openings(self, minute: int, times: int) -> Endpoint:
        """Return it where its breaker opened so often in *minute*; what it knew of more stays."""
        known = dict(self.openings)
        if known.get(minute, 0) >= times:
            return self
        return self._replace(openings=tuple(sorted({**known, minute: times}.items())))

    def without_openings_before(self, minute: int) -> Endpoint:
        """Return it without the openings that lie before *minute*."""
        if not self.openings or self.openings[0][0] >= minute:
            return self
        return self._replace(openings=tuple(one for one in self.openings if one[0] >= minute))

    def after(self, minute: int, counts: Counts, *, limit: int) -> tuple[Endpoint, int, int]:
        """Return the endpoint after *minute*, and how many of the minute's failures count.

        The first number is for while most endpoints succeed: of failures in a row, *limit* count. The second
        is for otherwise; it still takes failures without an answer only up to *limit* in a row, since how
        long a receiver may stay away is said by the row on unreachable receivers.
        """
        failed, succeeded, unanswered = counts.failed, counts.get("ok"), counts.unanswered_failures
        capped, failures = count(self.failures, failed=failed, succeeded=succeeded, limit=limit)
        lost, silence = count(
            self.unanswered, failed=unanswered, succeeded=succeeded + failed - unanswered, limit=limit
        )
        sampled = failed or succeeded
        used = sampled or counts.get("attempts") or counts.get("refused")
        openings = counts.get("openings")
        after = Endpoint(
            failures=failures,
            unanswered=silence,
            is_failing=failures.run >= limit and failed > succeeded if sampled else self.is_failing,
            reach=self.reach.after(minute, counts),
            seen=minute if used else self.seen,
            openings=(*self.openings, (minute, openings)) if openings else self.openings,
        )
        return after, capped, failed - unanswered + lost
