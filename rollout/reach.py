"""Whether an endpoint is there: how long nothing has shown that it is.

A minute shows *trouble* where an attempt stayed without an answer, or a breaker was open. It shows *life*
where a delivery arrived, or where an answer came while no breaker was open. Invariants: silence is neither,
so that an endpoint without traffic is never unreachable; life in a minute ends what the minutes before had
shown. Which second of a minute it was is not known: the outage is dated from the end of the first minute with
trouble, so that it has lasted at least as long as it is said to. Explained in docs/explanation/guard.md.
"""

from __future__ import annotations

from typing import NamedTuple

from rollout.counters import Counts

__all__ = ["THERE", "Reach"]


class Reach(NamedTuple):
    """The trouble since the last life: its first minute, its last one, and how many minutes showed some."""

    first: int = 0
    last: int = 0
    minutes: int = 0

    def after(self, minute: int, counts: Counts) -> Reach:
        """Return what is known after *minute* (minutes since the epoch) with these counts."""
        unanswered, refused = counts.get("unanswered"), counts.get("refused") + counts.get("open_seconds")
        answered = counts.get("attempts") - unanswered
        life = counts.get("ok") > 0 or counts.get("recovered") > 0 or (answered > 0 and not refused)
        if not (unanswered or refused):
            return THERE if life else self
        if life or not self.minutes:
            return Reach(first=minute, last=minute, minutes=1)
        return Reach(first=self.first, last=minute, minutes=self.minutes + 1)

    def is_lost(self, now: float, *, minutes: int) -> bool:
        """Return whether it has been unreachable for *minutes*, and still is.

        So many minutes must have shown trouble, too: one attempt an hour proves little.
        """
        if self.minutes < minutes:
            return False
        return now - (self.first + 1) * 60 >= minutes * 60 and now // 60 - self.last <= minutes


THERE = Reach()
