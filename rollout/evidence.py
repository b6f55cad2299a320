"""What the guard remembers of a rollout: running totals of the stage and the last minutes, never all rows.

`Evidence.fold` takes rows of (minute, endpoint) and returns what is known after them. Invariants: the result
depends on the rows of each minute, not on their order or on how often it was asked; a minute is folded once,
and rows that come for it afterwards change nothing, except that openings of breakers, which are told alike at
each look, are made up for; its size is bounded by the window and the endpoints. What is kept between two
ticks is folded up to `settled_until(now)`; the minutes after it are folded again at each tick and thrown
away; what a row held before the rollout began is taken away from it. Explained in docs/explanation/guard.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from rollout.counters import Counts
from rollout.criteria import Criteria
from rollout.cusum import Weights
from rollout.endpoints import Endpoint

__all__ = [
    "DAY_MINUTES",
    "Evidence",
    "Minute",
    "Row",
    "added_up",
    "minute_of",
    "minute_to_write",
    "settled_until",
]

DAY_MINUTES = 1_440
#: A minute's rows are taken for complete this long after its end: settles commit in batches, and clocks
#: differ (a sender that is 20 s off does not sign, contract §10).
SETTLING_SECONDS = 60


def minute_of(now: float) -> int:
    """Return the minute since the epoch that *now* (epoch seconds, UTC) lies in."""
    return int(now // 60)


def settled_until(now: float) -> int:
    """Return the first minute that may still get rows: what lies before may be folded for good."""
    return minute_of(now - SETTLING_SECONDS)


def minute_to_write(counted: int, now: float) -> int:
    """Return the minute under which to write what was counted in the minute *counted*.

    Its own while that still gets rows, and half a minute to spare for the commit; the present one after: a
    process that writes now and then would otherwise write what nobody reads any more. The present one, too,
    where the clock that counted is ahead of the store's: it would be read that much too late.
    """
    is_open = settled_until(now + SETTLING_SECONDS / 2) <= counted <= minute_of(now)
    return counted if is_open else minute_of(now)


class Row(NamedTuple):
    """The counts of one minute (since the epoch) and endpoint; the endpoint is empty where there is none."""

    minute: int
    endpoint: str
    counts: Counts


class Minute(NamedTuple):
    """One minute over all endpoints. `failed` are the failures that count for the rules over minutes."""

    minute: int
    counts: Counts
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The running state; begin with `Evidence.begun`, or `Evidence(since=now)` where nothing is there yet.

    Args:
        since: Epoch seconds at which the stage began. Minutes before it are no part of the stage.
        until: The first minute that is not in it; 0 means the minute of *since*.
        stage: Counts of the stage so far.
        window: The minutes of the stage that lie in the criteria's window, in order; only those with rows.
        recent: Their sum.
        earlier: The minutes of the stages before that lie in it, in order.
        endpoints: By id.
        cusum: The sum of the sequential test; it stays where it has reached the limit.
        before: What rows held and is not to be counted: when the rollout began, or when a minute came again;
            only of minutes from *until* on.
        again: Minutes before this one come again, since the clock went back; see `clock_back.py`.
    """

    since: float
    until: int = 0
    stage: Counts = field(default_factory=Counts)
    window: tuple[Minute, ...] = ()
    recent: Counts = field(default_factory=Counts)
    earlier: tuple[Minute, ...] = ()
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    cusum: float = 0.0
    before: tuple[Row, ...] = ()
    again: int = 0

    def __post_init__(self) -> None:
        if not self.until:
            object.__setattr__(self, "until", minute_of(self.since))

    @classmethod
    def begun(cls, rows: Iterable[Row], *, since: float) -> Evidence:
        """Return the evidence of a rollout that begins at *since* (epoch seconds), when *rows* are there.

        A row is of a whole minute, and its counts only grow: what it holds before the start, such as the
        fault of a rollout that a person starts again at once, is taken away from what it holds later.
        """
        minutes = added_up(rows, range(minute_of(since), sys.maxsize))
        held = [Row(minute, name, each) for minute, there in minutes.items() for name, each in there.items()]
        return cls(since=since, before=tuple(sorted(held, key=lambda row: row[:2])))

    def next_stage(self, since: float) -> Evidence:
        """Return what goes with the rollout into its next stage, which begins at *since* (epoch seconds).

        What is taken over the stage begins anew. The sequential test, the endpoints and the rules by the
        minute go on, over the last minutes of the stage before, too: a breach that was building up is not
        forgotten.
        """
        return Evidence(
            since=since,
            until=self.until,
            earlier=self.minutes,
            endpoints=self.endpoints,
            cusum=self.cusum,
            before=self.before,
            again=self.again,
        )

    def fold(self, rows: Iterable[Row], *, criteria: Criteria, until: int) -> Evidence:
        """Return what is known once the minutes before *until* are over.

        Args:
            rows: In any order; several of one minute and endpoint are added up. Those from *until* on are
                left alone, and of those before `self.until` all but the openings.
            criteria: Thresholds of the plan: which failures count, and how.
            until: The first minute that is not folded.
        """
        taken = list(rows)
        minutes = added_up(taken, range(self.until, until))
        for minute, endpoint, counts in self.before:
            if endpoint in minutes.get(minute, ()):
                minutes[minute][endpoint] = minutes[minute][endpoint].beyond(counts)
        fold = _Fold(self, criteria)
        # Not of the minute in which the stage begins: it may hold some of before.
        late = range(minute_of(self.since) + 1, self.until)
        fold.make_up(added_up((row for row in taken if row.counts.get("openings")), late))
        for minute in sorted(minutes):
            fold.take(minute, minutes[minute])
        return fold.result(max(until, self.until))

    @property
    def minutes(self) -> tuple[Minute, ...]:
        """The minutes in the criteria's window, in order, of whatever stage; only those with rows."""
        if not self.earlier:
            return self.window
        # A clock that went back behind the beginning of the stage mixes them.
        return tuple(sorted((*self.earlier, *self.window), key=lambda one: one.minute))

    def in_use(self, criteria: Criteria) -> dict[str, Endpoint]:
        """Return the endpoints that were used within the window, by id."""
        oldest = self.until - criteria.window_minutes
        return {name: one for name, one in self.endpoints.items() if one.seen >= oldest}


class _Fold:
    """One pass over minutes: the evidence in parts that may change."""

    def __init__(self, evidence: Evidence, criteria: Criteria) -> None:
        self._evidence = evidence
        self._criteria = criteria
        self._weights = Weights.of(criteria)
        self._endpoints = dict(evidence.endpoints)
        self._cusum = evidence.cusum
        self._earlier: list[Minute] = []
        self._added: list[Minute] = []

    def make_up(self, minutes: Mapping[int, Mapping[str, Counts]]) -> None:
        """Take in the openings that nobody could see while their minutes were folded."""
        for minute, rows in minutes.items():
            for name, counts in rows.items():
                known = self._endpoints.get(name, Endpoint())
                self._endpoints[name] = known.with_openings(minute, counts.get("openings"))

    def take(self, minute: int, rows: Mapping[str, Counts]) -> None:
        """Take one minute in."""
        limit, counted = self._criteria.failures_in_a_row, []
        for name, counts in rows.items():
            before = self._endpoints.get(name, Endpoint())
            after, capped, judged = before.after(minute, counts, limit=limit)
            # Of one that was not used yet nothing stays, whether or not a look lies between.
            if after != before and (after.seen or after.openings):
                self._endpoints[name] = after
            counted.append((counts.failed, capped, judged))
        total = Counts.sum(rows.values())
        if self._most_succeed(minute):
            self._test(sum(min(capped, judged) for _, capped, judged in counted), total)
            failed = sum(capped for _, capped, _ in counted)
        else:
            self._test(sum(judged for _, _, judged in counted), total)
            failed = sum(all_ for all_, _, _ in counted)
        is_of_stage = minute >= minute_of(self._evidence.since)
        (self._added if is_of_stage else self._earlier).append(Minute(minute, total, failed))

    def _test(self, failed: int, counts: Counts) -> None:
        if self._cusum < self._criteria.cusum_limit:
            self._cusum = self._weights.after(self._cusum, failed=failed, succeeded=counts.get("ok"))

    def _most_succeed(self, minute: int) -> bool:
        oldest = minute - self._criteria.window_minutes
        used = [one.is_failing for one in self._endpoints.values() if one.seen > oldest]
        return len(used) >= self._criteria.many_endpoints and 2 * sum(used) < len(used)

    def result(self, until: int) -> Evidence:
        """Return the evidence with what was taken in, and without what has become too old."""
        evidence, oldest = self._evidence, until - self._criteria.window_minutes
        minutes = (*evidence.window, *self._added)
        kept = tuple(one for one in minutes if one.minute >= oldest)
        earlier = (*evidence.earlier, *self._earlier)
        gone = minutes[: len(minutes) - len(kept)]
        added = Counts.sum(one.counts for one in self._added)
        return replace(
            evidence,
            until=until,
            stage=evidence.stage + added,
            window=kept,
            recent=(evidence.recent + added).without(one.counts for one in gone),
            earlier=tuple(one for one in earlier if one.minute >= oldest),
            endpoints=_without_the_old(self._endpoints, until - DAY_MINUTES),
            cusum=self._cusum,
            before=tuple(row for row in evidence.before if row.minute >= until),
        )


def added_up(rows: Iterable[Row], wanted: range) -> dict[int, dict[str, Counts]]:
    """Return the *wanted* minutes of *rows*, each with its counts by endpoint."""
    minutes: dict[int, dict[str, Counts]] = {}
    for minute, endpoint, counts in rows:
        if minute in wanted:
            there = minutes.setdefault(minute, {})
            there[endpoint] = there[endpoint] + counts if endpoint in there else counts
    return minutes


def _without_the_old(endpoints: Mapping[str, Endpoint], oldest: int) -> dict[str, Endpoint]:
    trimmed = {name: one.without_openings_before(oldest) for name, one in endpoints.items()}
    return {name: one for name, one in trimmed.items() if one.seen >= oldest or one.openings}
