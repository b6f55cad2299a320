"""Evidence for tests of the guard: a stage in which everything is well, and what a test changes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rollout.counters import Counts
from rollout.criteria import Criteria
from rollout.evidence import Evidence, Row, minute_of
from rollout.guard import judge
from rollout.verdict import Reading, Verdict

# A whole minute since the epoch, so that a minute of a test is a minute of the guard.
BEGIN = 1_763_000_040.0
FIRST = minute_of(BEGIN)
FAST, SLOW = "latency_28", "latency_95"

#: One minute of 25 deliveries, all of them well: four of them make every measure decided.
WELL = {"ok": 25, "attempts": 25, FAST: 25, "dispatch_03": 25, "envelopes": 25}


def row(minute: int, counts: Mapping[str, int], endpoint: str = "e") -> Row:
    """Return the row of *minute*, counted from the beginning of the test."""
    return Row(FIRST + minute, endpoint, Counts(counts))


def seen(rows: Iterable[Row], *, minutes: int, criteria: Criteria | None = None) -> Evidence:
    """Return what the guard knows after *minutes* with these rows."""
    return Evidence(since=BEGIN).fold(rows, criteria=criteria or Criteria(), until=FIRST + minutes)


def verdict_of(
    rows: Iterable[Row], *, minutes: int, criteria: Criteria | None = None, seconds: float = 0.0
) -> Verdict:
    """Judge these rows at the end of *minutes*, *seconds* later."""
    thresholds = criteria or Criteria()
    now = BEGIN + 60.0 * minutes + seconds
    return judge(thresholds, seen(rows, minutes=minutes, criteria=thresholds), now)


def reading(verdict: Verdict, measure: str, scope: str = "") -> Reading:
    """Return the one reading of *measure*."""
    found = [one for one in verdict.readings if one.measure == measure and scope in ("", one.scope)]
    assert len(found) == 1, found
    return found[0]
