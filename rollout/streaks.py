"""How many of a minute's failures count where failures in a row count only up to a number.

A dead receiver of many must not roll everybody back, so at most three failures in a row of its count
(contract §10). A row of evidence says how many succeeded and failed within a minute, not in which order; this
file says what order is assumed:

- A minute without a success continues the run of the minutes before it: of the whole run, three count.
- In a minute with both, the failures are taken for one run: three count. What fails like that all the time is
  no dying receiver: up to the share that failed in both minutes before it, failures count in full.

So a receiver that dies in the middle of a minute costs three, and a fault that makes a part of the deliveries
fail counts in full from its third minute on; before that a small part of it (three a minute and endpoint).
Invariant: what counts is never more than what failed, and all of it where no more than three failed.
Explained in docs/explanation/guard.md.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FRESH", "Streak", "count"]


class Streak(NamedTuple):
    """What is remembered of one endpoint's failures between its minutes with samples.

    `run` is how many failures stand at its end without a success after them. The last minute but one and the
    last minute are kept as (failures, samples); a minute without a failure, or without a success, since that
    belongs to a run, is kept as (0, 0).
    """

    run: int = 0
    before: tuple[int, int] = (0, 0)
    last: tuple[int, int] = (0, 0)


FRESH = Streak()
_NONE = (0, 0)


def count(streak: Streak, *, failed: int, succeeded: int, limit: int) -> tuple[int, Streak]:
    """Return how many of *failed* count, and the streak after this minute.

    Args:
        streak: The endpoint's streak before the minute.
        failed: Failures of the minute.
        succeeded: Samples of the minute that end a run of these failures.
        limit: How many failures in a row count (contract §10: 3).
    """
    if not failed and not succeeded:
        return 0, streak
    if not failed:
        return 0, Streak(0, streak.last, _NONE)
    sample = failed + succeeded
    if not succeeded:
        counted = min(failed, max(0, limit - streak.run))
        return counted, Streak(streak.run + failed, streak.last, _NONE)
    lasting = min(_expected(streak.before, sample), _expected(streak.last, sample))
    counted = min(failed, max(limit, lasting))
    return counted, Streak(failed, streak.last, (failed, sample))


def _expected(minute: tuple[int, int], sample: int) -> int:
    """Return how many of *sample* would fail at the rate of *minute*, rounded up."""
    failed, of = minute
    return -(-failed * sample // of) if of else 0
